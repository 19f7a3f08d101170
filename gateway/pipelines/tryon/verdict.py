"""Which of the drawings is best; and one more, gone over again from what they have in common."""

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
"""Of the refine pass: enough to sharpen what the middle of several drawings blurs, too little to leave it; the embedded
model has learned to go over drafts under as much noise (`wardrobe.training.tryon_finish`)."""

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

        It begins from the middle of all and takes the best one's noise. The answer lies halfway between that middle and
        what was drawn from it: they err in different places, and each error loses half.
        """
        best = min(drawings, key=_best_first)
        middle = await asyncio.to_thread(_middle, [drawing.drawn.pixels for drawing in drawings])
        asked = replace(prepared.asked, seeds=(best.seed,), previews=0, draft=Draft(middle, self._strength))
        (again,) = await self._stages.drawer.draw(asked, None)
        seen = await self._seen(_halfway(middle, again)[None], asked.deterministic)
        drawn = [*(drawing.drawn for drawing in drawings), *seen]
        judged = await self._judged(prepared, drawn, [*(drawing.seed for drawing in drawings), best.seed])
        return [*judged[:-1], replace(judged[-1], refined=True)]


def _middle(pictures: Sequence[Rgb]) -> Rgb:
    """The median at each pixel: what one of them alone shows leaves no trace."""
    middle: Rgb = np.median(np.stack(pictures), axis=0).astype(np.uint8)
    return middle


def _halfway(one: Rgb, other: Rgb) -> Rgb:
    """The mean at each pixel, of halves the larger."""
    mean: Rgb = ((one.astype(np.uint16) + other + 1) // 2).astype(np.uint8)
    return mean


def _best_first(drawing: Drawing) -> tuple[float, int, bool]:
    assert drawing.scores is not None
    ahead = REFINED_AHEAD if drawing.refined else 0.0
    return -drawing.scores.total - ahead, drawing.seed, drawing.refined
