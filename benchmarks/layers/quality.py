"""Held-out pictures taken apart, against the sheets that they were put together from."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import numpy as np

from benchmarks.layers.asking import Apart, Asking, take_apart
from wardrobe.evaluation.layers_score import SHEETS, LayersCase, LayersScores, score_layers

AT_ONCE = 8
_ROUNDING_ERROR = 1.0
"""In 8-bit steps: what a PSNR is told for where there is no difference at all."""


@dataclass(frozen=True, slots=True)
class LayersQuality:
    """`psnr_median`, `psnr_worst`: of the composites against the pictures, in dB, reckoned from the answers' files.

    `exact`: the share of pixels that the topmost layer covers and that are the picture's own, byte for byte.
    """

    scores: LayersScores
    psnr_median: float
    psnr_worst: float
    exact: float


async def take_all_apart(url: str, cases: Sequence[LayersCase], done: Callable[[], None]) -> tuple[Apart, ...]:
    """Case i with the seed i. Raises httpx.HTTPError: a figure over fewer pictures would not be the figure promised."""
    permits = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url) as client:

        async def one(seed: int, case: LayersCase) -> Apart:
            async with permits:
                apart = await take_apart(client, Asking(case.picture, seed, len(SHEETS)))
            done()
            return apart

        return tuple(await asyncio.gather(*(one(*pair) for pair in enumerate(cases))))


def quality_of(cases: Sequence[LayersCase], apart: Sequence[Apart]) -> LayersQuality:
    """Of pictures at the size of the world, 128 x 128."""
    psnrs = [_psnr(case, item) for case, item in zip(cases, apart, strict=True)]
    exact = [_exact(case, item) for case, item in zip(cases, apart, strict=True)]
    return LayersQuality(
        score_layers(cases, [item.layers for item in apart]),
        float(np.median(psnrs)),
        min(psnrs),
        float(np.concatenate(exact).mean()),
    )


def _psnr(case: LayersCase, item: Apart) -> float:
    error = item.composite[..., :3].astype(np.float64) - case.picture
    # Two equal pictures would be infinitely alike, and so would be their mean with others.
    return 10 * math.log10(255**2 / max(float((error**2).mean()), _ROUNDING_ERROR / error.size))


def _exact(case: LayersCase, item: Apart) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Of every pixel that some layer covers wholly, with nothing above it: whether it is the picture's own."""
    clear = np.ones(case.picture.shape[:2], np.bool_)
    found = []
    for layer in item.layers[::-1]:
        top = clear & (layer[..., 3] == 255)
        found.append((layer[top][:, :3] == case.picture[top]).all(axis=-1))
        clear &= layer[..., 3] == 0
    return np.concatenate(found)
