"""Tensors of the denoiser's streaming call on Triton: what one request carries and what its responses carry.

One request is n images of one prompt. Conditions have a leading axis of 1 (positive) or 2 (negative, positive).
What is optional is left out where a request does not want it.
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

START_LATENTS = TensorSpec("START_LATENTS", DType.FP32, (1, "channels", "latent_height", "latent_width"))
"""Begin from this picture instead of from pure noise."""
STRENGTH = TensorSpec("STRENGTH", DType.FP32, (1,))
"""With START_LATENTS: the part of the steps that is done, 0 to 1."""
MASK = TensorSpec("MASK", DType.FP32, ("mask_height", "mask_width"))
"""With START_LATENTS: 1 where cells are drawn anew, 0 where they stay. As fine as the family draws its noise."""
REFERENCES = TensorSpec("REFERENCES", DType.FP32, ("reference_length", "channels"))
"""Latent cells of every reference picture, row by row, one picture after the other."""
REFERENCE_SIZES = TensorSpec("REFERENCE_SIZES", DType.INT32, ("references", 2))
"""Height, width of each in latent cells."""
GUIDANCE_INTERVAL = TensorSpec("GUIDANCE_INTERVAL", DType.FP32, (2,))
"""Guidance holds from the first to the second of these shares of the steps, 0 to 1."""
STEP_CACHE = TensorSpec("STEP_CACHE", DType.FP32, (1,))
"""Threshold under which a step reuses the last evaluation."""
# The text encoder takes these too: there an axis of prompts leads, and all prompts of a call say the same.
LORA_NAMES = TensorSpec("LORA_NAMES", DType.BYTES, ("loras",))
LORA_SCALES = TensorSpec("LORA_SCALES", DType.FP32, ("loras",))

OPTIONAL_INPUTS = (
    START_LATENTS,
    STRENGTH,
    MASK,
    REFERENCES,
    REFERENCE_SIZES,
    GUIDANCE_INTERVAL,
    STEP_CACHE,
    LORA_NAMES,
    LORA_SCALES,
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
    UNSUPPORTED = "unsupported"
    """The model as it is published cannot do what the request asks for; the message is for whoever asked."""
    OUT_OF_MEMORY = "out_of_memory"
    """The request needs more memory than there is."""
    FAILED = "failed"
    """The denoiser failed."""
