"""Try-on commands to pictures: the stages in order, once for each garment."""

import asyncio
import logging
from collections.abc import Sequence

from families.tryon.parts import Category
from gateway.domain.telemetry import Telemetry
from gateway.domain.tryon import TryOnCommand, TryOnListener, TryOnResult, TryOnStage
from gateway.domain.tryon_drawing import DrawsTryOn
from gateway.domain.tryon_errors import InputValidationError, PipelineError
from gateway.domain.tryon_options import TryOnOptions
from gateway.domain.tryon_port import TryOnRunner
from gateway.pipelines.admission import Admission
from gateway.pipelines.incoming import PictureReader
from gateway.pipelines.models import ModelLibrary
from gateway.pipelines.together import together
from gateway.pipelines.tryon.answer import judged, stage_file, tried_on, usage
from gateway.pipelines.tryon.course import Course
from gateway.pipelines.tryon.garment import Garment, find_garment, lay_flat
from gateway.pipelines.tryon.load import Loaded, load
from gateway.pipelines.tryon.parts import Drawing, Parser, Stages, Wearer, Worn
from gateway.pipelines.tryon.person import View
from gateway.pipelines.tryon.plan import Plan, make_plan
from gateway.pipelines.tryon.round import Round
from gateway.pipelines.tryon.sketches import Sketches
from gateway.pipelines.tryon.stage_pictures import Shown, stage_pictures
from gateway.pipelines.turn import Turns

logger = logging.getLogger(__name__)


class TryOnPipeline(TryOnRunner):
    """Runs TryOnCommands. Holds no state of its own between them."""

    def __init__(
        self,
        *,
        drawer: DrawsTryOn,
        parser: Parser,
        models: ModelLibrary,
        reader: PictureReader,
        options: TryOnOptions,
        admission: Admission,
        telemetry: Telemetry,
        timeout_seconds: float,
    ) -> None:
        self._drawer = drawer
        self._parser = parser
        self._models = models
        self._reader = reader
        self._options = options
        self._telemetry = telemetry
        self._turns = Turns(admission, telemetry, timeout_seconds)

    async def run(self, command: TryOnCommand, listener: TryOnListener | None) -> TryOnResult:
        """Wait for a permit, then dress the person; `listener` None: nobody is told of anything in the meantime.

        Cancelling the task stops the backend's work within one step. Raises the errors of
        `gateway.domain.tryon_errors`, Overloaded, Draining, RequestTimedOut, ModelNotFound or a BackendError.
        """
        plan = make_plan(command, self._options, self._models)
        async with self._turns.take(command.samples):
            course = Course(plan.stages(len(command.garments)), self._telemetry, listener)
            sketches = Sketches(command, course, listener)
            try:
                async with sketches.running():
                    return await self._dress(command, plan, course, sketches)
            except PipelineError:
                logger.exception("a try-on failed")
                raise

    async def _dress(self, command: TryOnCommand, plan: Plan, course: Course, sketches: Sketches) -> TryOnResult:
        with course.stage(TryOnStage.LOAD):
            loaded = await load(command, self._reader)
        with course.stage(TryOnStage.GARMENT):
            garments = await self._garments(command, loaded)
            worn = await together(*(asyncio.to_thread(self._worn, garment, plan, loaded) for garment in garments))
        seen: list[Shown] = []
        drawings: list[Drawing] = []
        stages = Round(Stages(self._parser, self._drawer, course, sketches), plan, command)
        wearers = [Wearer(loaded.person, plan.seeds)]
        for number, each in enumerate(sorted(worn, key=_as_one_dresses)):
            drawings = await stages.draw(wearers, each)
            if command.intermediates:
                seen.extend(await asyncio.to_thread(stage_pictures, drawings, each, "second_" * number))
            chosen = drawings[: command.samples] if number == len(worn) - 1 or not plan.judged else drawings[:1]
            finished = await stages.finish(chosen)
            wearers = [
                Wearer(pixels, plan.seeds if plan.judged else (drawing.seed,))
                for drawing, pixels in zip(chosen, finished, strict=True)
            ]
        with course.stage(TryOnStage.ENCODE):
            pictures = await together(
                *(
                    asyncio.to_thread(tried_on, command, plan, (index, drawing), pixels)
                    for index, (drawing, pixels) in enumerate(zip(chosen, finished, strict=True))
                )
            )
            files = await together(*(asyncio.to_thread(stage_file, each) for each in seen))
        return TryOnResult(
            model=plan.manifest.name,
            pictures=tuple(pictures),
            candidates=judged(drawings),
            categories=tuple(garment.category for garment in garments),
            intermediates=tuple(files),
            timings=course.timings,
            usage=usage(command, plan),
            warnings=tuple(garment.warning for garment in garments if garment.warning is not None),
        )

    async def _garments(self, command: TryOnCommand, loaded: Loaded) -> list[Garment]:
        garments = []
        for pixels, asked in zip(loaded.garments, command.garments, strict=True):
            view = View(pixels, await self._parser.parse(pixels, deterministic=command.deterministic))
            alpha = await self._parser.alpha(pixels, deterministic=command.deterministic)
            garments.append(await asyncio.to_thread(find_garment, view, asked, alpha))
        _check_together(garments, command.garments[-1].picture.field)
        return garments

    def _worn(self, garment: Garment, plan: Plan, loaded: Loaded) -> Worn:
        return Worn(lay_flat(garment, plan.drawn, self._options.ground), garment.category, loaded.mask)


def _as_one_dresses(worn: Worn) -> int:
    """A top's hem lies over the waistband."""
    return (Category.BOTTOMS, Category.TOPS, Category.ONE_PIECES).index(worn.category)


def _check_together(garments: Sequence[Garment], field: str) -> None:
    categories = [garment.category for garment in garments]
    if len(categories) > 1 and set(categories) != {Category.TOPS, Category.BOTTOMS}:
        raise InputValidationError(
            f"the garments are {' and '.join(categories)}; allowed together: {Category.TOPS} and {Category.BOTTOMS}; "
            f"{Category.ONE_PIECES} go alone",
            param=field,
        )
