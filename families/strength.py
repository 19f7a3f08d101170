"""How many of its steps a request does that begins from a picture."""

import math

from families.manifest import Prediction

# A share of steps crosses Triton's wire as a 32-bit number; beyond these digits it is no longer what the user said.
_DIGITS = 6


def steps_done(prediction: Prediction, steps: int, strength: float) -> int:
    """Steps that are done of `steps` at a strength in (0, 1], counted as diffusers' pipelines count them.

    Diffusion rounds down; flow rounds up. 0 where the strength is too small for a single step.
    """
    part = steps * round(strength, _DIGITS)
    return steps - int(steps - part) if prediction is Prediction.FLOW else int(part)


def share_of_steps(part: int, steps: int) -> float:
    """`part` of `steps` as a share that crosses the wire without losing its last step to rounding."""
    kept = 10.0**_DIGITS
    return math.ceil(kept * part / steps) / kept
