"""Requests for a step engine to take pictures apart, drawn from numbers."""

from dataclasses import replace

import torch

from engine.request import DenoiseRequest, NamedCondition, References
from tests.support.tiny_qwen_image import TEXT_WIDTH
from tests.support.tiny_qwen_image_layered import LAYERED_CHANNELS

CHANNELS = 4 * LAYERED_CHANNELS
TOKENS = 64


def request_of(
    seeds: tuple[int, ...] = (1,),
    *,
    layers: int = 2,
    cells: tuple[int, int] = (4, 4),
    steps: int = 3,
    guidance: float = 4.0,
    picture: int = 0,
) -> DenoiseRequest:
    """A request whose prompt and picture are drawn from the number `picture`."""
    generator = torch.Generator().manual_seed(picture)
    context = torch.randn(2, TOKENS, TEXT_WIDTH, generator=generator)
    mask = torch.arange(TOKENS)[None] < torch.tensor([[5], [9 + picture]])
    shown = References(torch.randn(cells[0] * cells[1], CHANNELS, generator=generator), (cells,))
    return DenoiseRequest(
        conditions=(NamedCondition("context", context), NamedCondition("context_mask", mask)),
        seeds=seeds,
        steps=steps,
        guidance_scale=guidance,
        scheduler="flow_match_euler",
        latent_height=cells[0] * (layers + 1),
        latent_width=cells[1],
        references=shown,
    )


CROWD = (
    request_of((1, 2), picture=1),
    request_of((3,), steps=5, guidance=1.0, picture=2),
    request_of((4,), layers=3, picture=3),
    request_of((5,), layers=5, cells=(2, 6), guidance=2.0, picture=4),
    # As many rows and columns as the one before, in frames of another number.
    request_of((6,), layers=3, cells=(3, 6), picture=5),
    request_of((7,), layers=10, cells=(2, 2), picture=6),
    replace(request_of((8,), picture=7), step_cache=0.3, guidance_interval=(0.2, 0.9), preview_steps=(2,)),
)
