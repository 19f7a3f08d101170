"""One garment put on: the stages from a photograph of a person to finished pictures of her."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from families.tryon.parts import BodyPart
from gateway.domain.backend import Pixels
from gateway.domain.tryon import TryOnCommand, TryOnStage
from gateway.domain.tryon_drawing import Rgb, TryOnDrawing, TryOnPoses
from gateway.domain.tryon_errors import PoseError
from gateway.pipelines.frame import Box, size_of
from gateway.pipelines.together import together
from gateway.pipelines.tryon.body import box_of, face, hands, unchanged
from gateway.pipelines.tryon.crop import Window, window_around
from gateway.pipelines.tryon.parts import Drawing, Prepared, Stages, Wearer, Worn
from gateway.pipelines.tryon.person import View, find_person, shows_person
from gateway.pipelines.tryon.plan import Plan
from gateway.pipelines.tryon.poses import pose_grey
from gateway.pipelines.tryon.region import Region, given, worked_out
from gateway.pipelines.tryon.restore import restore
from gateway.pipelines.tryon.score import Drawn
from gateway.pipelines.tryon.sketches import UnderWay
from gateway.pipelines.tryon.verdict import Verdict


@dataclass(frozen=True, slots=True)
class _Close:
    """The window as the model draws it."""

    view: View
    window: Window


class Round:
    """Stateless between calls."""

    def __init__(self, stages: Stages, plan: Plan, command: TryOnCommand) -> None:
        self._stages = stages
        self._plan = plan
        self._command = command

    async def draw(self, wearers: Sequence[Wearer], worn: Worn) -> list[Drawing]:
        """Of every wearer one for each seed, in their order; best first where they were judged."""
        course = self._stages.course
        with course.stage(TryOnStage.PARSE):
            views = await together(*(self._view(wearer.photograph) for wearer in wearers))
        with course.stage(TryOnStage.CROP):
            close = await together(*(self._closer(view, worn) for view in views))
        with course.stage(TryOnStage.MASK):
            prepared = [
                await asyncio.to_thread(self._prepared, wearer, view, near, worn)
                for wearer, view, near in zip(wearers, views, close, strict=True)
            ]
        with course.stage(TryOnStage.GENERATE):
            pixels = await together(*(self._generate(place, each) for place, each in enumerate(prepared)))
        if self._plan.judged:
            return await Verdict(self._stages, self._plan, worn).of(prepared, pixels)
        return [
            Drawing(seed, each, Drawn(drawn, each.close.parse), None)
            for each, of_each in zip(prepared, pixels, strict=True)
            for seed, drawn in zip(each.wearer.seeds, of_each, strict=True)
        ]

    async def finish(self, drawings: Sequence[Drawing]) -> list[Rgb]:
        """The photographs with the drawings in them."""
        with self._stages.course.stage(TryOnStage.RESTORE):
            return await together(*(asyncio.to_thread(self._restored, drawing) for drawing in drawings))

    async def _view(self, pixels: Rgb) -> View:
        return View(pixels, await self._stages.parser.parse(pixels, deterministic=self._command.deterministic))

    async def _closer(self, view: View, worn: Worn) -> _Close:
        """The window at the drawing's size, parsed there: before and after are seen alike."""
        size, drawn = size_of(view.pixels), self._plan.drawn
        window = window_around(size, _where(view, worn, self._command.person.field), drawn)
        if size == drawn and window.inside == window.box:
            return _Close(view, window)
        return _Close(await self._view(await asyncio.to_thread(window.to_model, view.pixels)), window)

    def _region(self, close: _Close, worn: Worn) -> Region:
        preserve = self._command.preserve
        if worn.mask is not None:
            return given(worn.mask, close.view.parse, close.window, worn.category, preserve)
        try:
            return worked_out(close.view.parse, close.window, worn.category, preserve)
        except PoseError as error:
            error.param = self._command.person.field
            raise

    def _prepared(self, wearer: Wearer, whole: View, close: _Close, worn: Worn) -> Prepared:
        plan, command = self._plan, self._command
        region = self._region(close, worn)
        rule = plan.manifest.try_on
        poses = None
        if rule is not None and rule.takes_poses:
            poses = TryOnPoses(pose_grey(close.view.parse), worn.flat.pose)
        asked = TryOnDrawing(
            model=plan.manifest.name,
            person=close.view.pixels,
            mask=region.drawn,
            garment=worn.flat.pixels,
            seeds=wearer.seeds,
            steps=plan.steps,
            guidance_scale=plan.guidance_scale,
            scheduler=plan.scheduler,
            deterministic=command.deterministic,
            previews=command.partial_images,
            poses=poses,
            category=worn.category,
        )
        return Prepared(wearer, whole, close.view, region, asked)

    async def _generate(self, place: int, prepared: Prepared) -> Pixels:
        wearer = prepared.wearer
        under_way = UnderWay(wearer.photograph, prepared.region, wearer.seeds, place)
        return await self._stages.drawer.draw(prepared.asked, self._stages.sketches.of(under_way))

    def _restored(self, drawing: Drawing) -> Rgb:
        prepared = drawing.prepared
        before = prepared.close.parse
        kept = hands(before) if drawing.scores is None else unchanged(before.labels, drawing.drawn.parse.labels)
        kept = kept | face(before)
        return restore(prepared.wearer.photograph, drawing.drawn.pixels, prepared.region, self._command.merge, kept)


def _where(view: View, worn: Worn, field: str) -> Box:
    """The person, and the caller's mask; with a mask nobody need be found."""
    if worn.mask is None:
        return find_person(view, field)
    person = view.parse.labels != BodyPart.BACKGROUND.label if shows_person(view.parse) else worn.mask
    box = box_of(person | worn.mask)
    assert box is not None, "an empty mask was refused"
    return box
