"""Edits with models that dress people: which of OpenAI's fields mean what for them."""

from gateway.api.edit_request import ImageEditRequest
from gateway.api.generation_command import effective_quality
from gateway.domain.edits import Dressing
from gateway.domain.errors import InvalidRequest

_THOROUGH = frozenset({"high", "xhigh", "max"})


def dressing_of(body: ImageEditRequest) -> Dressing:
    """Raises InvalidRequest for a field that try-on has no use for."""
    if body.strength is not None:
        raise InvalidRequest(
            "'strength' means nothing to a try-on model: what its mask covers is drawn anew", param="strength"
        )
    if body.size not in (None, "auto"):
        raise InvalidRequest("'size' must be auto with a try-on model: the answer has the person's size", param="size")
    return Dressing(effective_quality(body) in _THOROUGH, body.num_inference_steps, body.guidance_scale)
