"""Held-out pairs through both routes, against the truth and against the garment resized into the mask."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import numpy as np
from scipy import ndimage
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

from benchmarks.tryon.asking import Asking, Dressed, Pixels, try_on
from wardrobe.evaluation.tryon_score import TryOnCase, TryOnScores, score_tryon
from wardrobe.judge import Judge
from wardrobe.training.tryon_cache import category_of
from wardrobe.world.attributes import Part
from wardrobe.world.render import render

AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class ModeQuality:
    """`outside_changed`: pixels outside of the server's masks that are not the person's own, of all pictures together.

    `faces_changed`: pictures in which a pixel of the face (`face_of`) has changed.
    `rank_correlation`: Spearman's, of the server's own scores with the truth's likeness; premium's alone.
    """

    scores: TryOnScores
    outside_changed: int
    faces_changed: int
    wrong_category: int
    rank_correlation: float | None


async def dress_all(url: str, mode: str, cases: Sequence[TryOnCase], done: Callable[[], None]) -> tuple[Dressed, ...]:
    """Case i with the seed i. Raises httpx.HTTPError: a figure over fewer pictures would not be the figure promised."""
    permits = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=url) as client:

        async def one(seed: int, case: TryOnCase) -> Dressed:
            async with permits:
                dressed = await try_on(client, Asking(mode, case.person, case.garment, seed, inspect=True))
            done()
            return dressed

        return tuple(await asyncio.gather(*(one(*pair) for pair in enumerate(cases))))


def quality_of(cases: Sequence[TryOnCase], dressed: Sequence[Dressed], judge: Judge) -> ModeQuality:
    """Of pictures at the size of the world, 128 x 128."""
    pictures = np.stack([item.pixels for item in dressed])
    outside = faces = wrong = 0
    for case, item in zip(cases, dressed, strict=True):
        assert item.mask is not None, "the mask was not asked for"
        changed = (item.pixels != case.person).any(axis=-1)
        outside += int((changed & ~item.mask).sum())
        faces += bool((changed & face_of(case)).any())
        wrong += item.category != category_of(case.pair.garment).value
    return ModeQuality(
        score_tryon(list(cases), pictures, judge), outside, faces, wrong, _rank_correlation(cases, dressed)
    )


def face_of(case: TryOnCase) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """The head as far as it is seen, without hair, and without its outline, which it shares with a collar below it."""
    drawn = render(case.pair.before)
    (head,) = (layer.pixels[..., 3] > 0 for layer in drawn.layers if layer.name == "face")
    face: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = ndimage.binary_erosion(head & drawn.mask(Part.FACE))
    return face


def _rank_correlation(cases: Sequence[TryOnCase], dressed: Sequence[Dressed]) -> float | None:
    scores = [item.score for item in dressed]
    if None in scores:
        return None
    truth = [_likeness(case, item.pixels) for case, item in zip(cases, dressed, strict=True)]
    return float(spearmanr(scores, truth).statistic)


def _likeness(case: TryOnCase, picture: Pixels) -> float:
    _, similar = structural_similarity(case.truth, picture, channel_axis=2, full=True)
    return float(similar[case.region].mean())
