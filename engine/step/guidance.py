"""Classifier-free guidance: which calls have it, and how two predictions become one."""

import torch

from engine.request import DenoiseRequest
from engine.samplers import Schedule
from families.manifest import GuidanceKind, ModelManifest

# Shares cross Triton's wire as 32-bit numbers; beyond these digits they are no longer what the user said.
_DIGITS = 6


def rows_per_image(request: DenoiseRequest, manifest: ModelManifest) -> int:
    """2 (negative, positive) under classifier-free guidance, which diffusers leaves out at a scale of 1 or less."""
    return 2 if request.guidance_scale > 1.0 and manifest.guided else 1


def rows_of_calls(request: DenoiseRequest, manifest: ModelManifest, schedule: Schedule) -> tuple[int, ...]:
    """Rows that an image takes in each denoiser call: outside the guidance interval the positive one alone."""
    most = rows_per_image(request, manifest)
    # Steps done before each call; the calls of one step are alike.
    steps = (0, *schedule.steps_after[:-1])
    first, end = (int(round(share, _DIGITS) * schedule.steps_after[-1]) for share in request.guidance_interval)
    return tuple(most if first <= step < end else 1 for step in steps)


def guide(pairs: torch.Tensor, scale: float, kind: GuidanceKind) -> torch.Tensor:
    """[2 n, C, h, w], negative and positive in turn -> the guided prediction [n, C, h, w]."""
    negative, positive = pairs[0::2], pairs[1::2]
    guided = negative + scale * (positive - negative)
    if kind is GuidanceKind.RENORMALISED:
        norms: torch.Tensor = positive.norm(dim=1, keepdim=True) / guided.norm(dim=1, keepdim=True)
        guided = guided * norms
    return guided
