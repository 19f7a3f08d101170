"""Which of the drawings is best; and one more, of all of them gone over again."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from families.strength import share_of_steps
from gateway.domain.backend import Pixels
from gateway.domain.tryon import TryOnStage
from gateway.domain.tryon_drawing import Draft, Rgb
from gateway.pipelines.together import together
from gateway.pipelines.tryon.parts import Drawing, Prepared, Stages, Worn
from gateway.pipelines.tryon.plan import Plan
from gateway.pipelines.tryon.score import Drawn, Scene, judge

REFINE_STRENGTH = 0.25
"""Of the refine pass: enough to bring out what a drawing only hints at, too little to leave it; the embedded model has
learned to go over drafts under as much noise (`wardrobe.training.tryon_finish`)."""

CLEARLY_MORE = 0.02
"""Of the score `pattern`: what one drawing must have more of it than the mean of all to be answered in its stead. Less
is chance."""

REFINED_AHEAD = 0.02
"""What a candidate's score must be higher by to stand before the refined drawing: among good drawings scores say less
than what several of them agree on does."""


class Verdict:
    """Of one garment's drawings."""

    def __init__(self, stages: Stages, plan: Plan, worn: Worn) -> None:
        self._stages = stages
        self._plan = plan
        self._worn = worn

    async def of(self, prepared: Sequence[Prepared], pixels: Sequence[Pixels]) -> list[Drawing]:
        """All drawings of all wearers, best first."""
        drawings: list[Drawing] = []
        with self._stages.course.stage(TryOnStage.SCORE):
            for each, of_each in zip(prepared, pixels, strict=True):
                seen = await self._seen(of_each, each.asked.deterministic)
                drawings.extend(await self._judged(each, seen, each.wearer.seeds))
        if self._plan.refine:
            with self._stages.course.stage(TryOnStage.REFINE):
                drawings = [
                    drawing
                    for each in prepared
                    for drawing in await self._refined(each, [one for one in drawings if one.prepared is each])
                ]
        return sorted(drawings, key=_best_first)

    async def _seen(self, pixels: Pixels, deterministic: bool) -> list[Drawn]:
        parser = self._stages.parser
        parses = await together(*(parser.parse(drawn, deterministic=deterministic) for drawn in pixels))
        return [Drawn(*pair) for pair in zip(pixels, parses, strict=True)]

    async def _judged(self, prepared: Prepared, drawn: Sequence[Drawn], seeds: Sequence[int]) -> list[Drawing]:
        close, worn = prepared.close, self._worn
        flat = worn.flat
        scene = Scene(close.pixels, close.parse, prepared.region.drawn, flat.pixels, flat.mask, worn.category)
        scores = await asyncio.to_thread(judge, scene, drawn)
        return [Drawing(seed, prepared, one, score) for seed, one, score in zip(seeds, drawn, scores, strict=True)]

    @property
    def _strength(self) -> float:
        """At least one step: a quarter of three must not come out as none."""
        return max(REFINE_STRENGTH, share_of_steps(1, self._plan.steps))

    async def _refined(self, prepared: Prepared, drawings: Sequence[Drawing]) -> list[Drawing]:
        """With one more; all judged anew.

        Each is gone over again with its own noise. The answer is the mean of all, before and after, for they err in
        different places, unless one that was gone over shows clearly more of the garment's pattern than the mean does,
        which blurs what they do not agree on.
        """
        seeds = [drawing.seed for drawing in drawings]
        redrawn = np.concatenate(await together(*(self._again(prepared, drawing) for drawing in drawings)))
        mean = await asyncio.to_thread(_mean, [*(drawing.drawn.pixels for drawing in drawings), *redrawn])
        seen = await self._seen(np.stack([mean, *redrawn]), prepared.asked.deterministic)
        best = min(drawings, key=_best_first)
        drawn = [*(drawing.drawn for drawing in drawings), *seen]
        judged = await self._judged(prepared, drawn, [*seeds, best.seed, *seeds])
        count = len(drawings)
        return [*judged[:count], replace(_clearest(judged[count], judged[count + 1 :]), refined=True)]

    async def _again(self, prepared: Prepared, drawing: Drawing) -> Pixels:
        draft = Draft(drawing.drawn.pixels, self._strength)
        asked = replace(prepared.asked, seeds=(drawing.seed,), previews=0, draft=draft)
        return await self._stages.drawer.draw(asked, None)


def _clearest(mean: Drawing, redrawn: Sequence[Drawing]) -> Drawing:
    """The mean, or whichever shows clearly more of the pattern."""
    best = max(redrawn, key=_pattern)
    return best if _pattern(best) > _pattern(mean) + CLEARLY_MORE else mean


def _pattern(drawing: Drawing) -> float:
    assert drawing.scores is not None
    return drawing.scores.pattern


def _mean(pictures: Sequence[Rgb]) -> Rgb:
    """The mean at each pixel, of halves the larger."""
    count = len(pictures)
    mean: Rgb = ((2 * np.sum(pictures, axis=0, dtype=np.uint32) + count) // (2 * count)).astype(np.uint8)
    return mean


def _best_first(drawing: Drawing) -> tuple[float, int, bool]:
    assert drawing.scores is not None
    ahead = REFINED_AHEAD if drawing.refined else 0.0
    return -drawing.scores.total - ahead, drawing.seed, drawing.refined
