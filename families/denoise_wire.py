"""Tensors of the denoiser's streaming call on Triton: what one request carries and what its responses carry.

One request is n images of one prompt. Conditions have a leading axis of 1 (positive) or 2 (negative, positive).
"""

from enum import StrEnum

from families.tensors import DType, TensorSpec

SEEDS = TensorSpec("SEEDS", DType.INT64, ("images",))
STEPS = TensorSpec("STEPS", DType.INT32, (1,))
GUIDANCE_SCALE = TensorSpec("GUIDANCE_SCALE", DType.FP32, (1,))
SCHEDULER = TensorSpec("SCHEDULER", DType.BYTES, (1,))
LATENT_SIZE = TensorSpec("LATENT_SIZE", DType.INT32, (2,))
"""Height, width in latent cells."""
PRIORITY = TensorSpec("PRIORITY", DType.INT32, (1,))
DETERMINISTIC = TensorSpec("DETERMINISTIC", DType.BOOL, (1,))
PREVIEW_STEPS = TensorSpec("PREVIEW_STEPS", DType.INT32, ("previews",))
"""Steps, counted from 1, after which a preview is wanted; may be empty."""

PROGRESS = TensorSpec("PROGRESS", DType.BOOL, (1,))
"""Whether steps are told as they pass. Each message costs both ends together about a millisecond of CPU."""

CONTROL_INPUTS = (
    SEEDS,
    STEPS,
    GUIDANCE_SCALE,
    SCHEDULER,
    LATENT_SIZE,
    PRIORITY,
    DETERMINISTIC,
    PREVIEW_STEPS,
    PROGRESS,
)

EVENT = TensorSpec("EVENT", DType.INT32, (1,))
"""What a response is: one of the EVENT_* numbers."""
STEP = TensorSpec("STEP", DType.INT32, (1,))
"""Steps done."""
LATENTS = TensorSpec("LATENTS", DType.FP32, ("images", "channels", "latent_height", "latent_width"))
"""Only on previews (the denoised estimate) and on the last response. VAE scaling is the decoder's business."""

FAILURE = TensorSpec("FAILURE", DType.BYTES, (2,))
"""Only on a failure: a `FailureCode` and a message. An event of ours and not an error of Triton's: Triton 2.51 now and
then crashes, with every request in flight, when it ends a stream with a typed error; and untyped ones carry no code."""

OUTPUTS = (EVENT, STEP, LATENTS, FAILURE)

EVENT_PROGRESS = 0
EVENT_PREVIEW = 1
EVENT_FINISHED = 2
EVENT_FAILED = 3


class FailureCode(StrEnum):
    """Why a request failed, as far as its caller must tell it apart."""

    QUEUE_FULL = "queue_full"
    """Try again later."""
    CLOSED = "closed"
    """The engine is shutting down; try again elsewhere or later."""
    INVALID = "invalid"
    """The request's values do not fit the model."""
    FAILED = "failed"
    """The denoiser failed."""
