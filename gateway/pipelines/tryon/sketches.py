"""Estimates of drawings that form, shown on the whole photograph."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.domain.backend import Pixels
from gateway.domain.pictures import PartialPicture, Picture
from gateway.domain.tryon import TryOnCommand, TryOnListener, TryOnStage
from gateway.domain.tryon_drawing import Rgb, TryOnDrawingListener
from gateway.pipelines.frame import size_of
from gateway.pipelines.imaging import encode_picture
from gateway.pipelines.previews import Previews
from gateway.pipelines.tryon.course import Course
from gateway.pipelines.tryon.region import Region
from gateway.pipelines.tryon.restore import restore


@dataclass(frozen=True, slots=True)
class UnderWay:
    """One drawing under way. `place`: of its first picture among those of the request."""

    photograph: Rgb
    region: Region
    seeds: tuple[int, ...]
    place: int


@dataclass(frozen=True, slots=True)
class _Estimate:
    drawing: UnderWay
    pixels: Pixels


class _Counted:
    """Counts the estimates of each picture: two rounds and several drawings have one count."""

    def __init__(self, listener: TryOnListener) -> None:
        self._listener = listener
        self._shown: Counter[int] = Counter()

    def partial(self, picture: PartialPicture) -> None:
        order = self._shown[picture.index]
        self._shown[picture.index] += 1
        self._listener.partial(PartialPicture(picture.index, order, picture.data, picture.size))


class Sketches:
    """Of one try-on. Without a listener nothing is drawn for nobody."""

    def __init__(self, command: TryOnCommand, course: Course, listener: TryOnListener | None) -> None:
        self._command = command
        self._course = course
        self._listener = listener
        self._previews: Previews[_Estimate] = Previews(self._render, None if listener is None else _Counted(listener))
        self._started = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Leaves when every estimate was shown."""
        async with self._previews.running():
            yield

    def of(self, drawing: UnderWay) -> TryOnDrawingListener | None:
        """Who hears of this drawing."""
        return None if self._listener is None else _Ear(self, drawing)

    def started(self) -> None:
        """A drawing was taken by the backend."""
        if self._listener is not None and not self._started:
            self._started = True
            self._listener.started()

    def step(self, done: int, steps: int) -> None:
        """Of one drawing."""
        self._course.within(TryOnStage.GENERATE, done / steps)

    def show(self, drawing: UnderWay, pixels: Pixels) -> None:
        """Render these next."""
        self._previews.add(_Estimate(drawing, pixels))

    async def _render(self, estimate: _Estimate) -> tuple[Picture, ...]:
        """Of those that may be among the answer's pictures: as many as are answered."""
        drawing, command = estimate.drawing, self._command
        count = max(0, min(len(drawing.seeds), command.samples - drawing.place))

        def render() -> tuple[Picture, ...]:
            pictures = []
            for index in range(count):
                pixels = restore(drawing.photograph, estimate.pixels[index], drawing.region, command.merge)
                data = encode_picture(pixels, command.encoding, "")
                pictures.append(Picture(drawing.place + index, drawing.seeds[index], data, size_of(pixels)))
            return tuple(pictures)

        return await asyncio.to_thread(render)


class _Ear(TryOnDrawingListener):
    def __init__(self, sketches: Sketches, drawing: UnderWay) -> None:
        self._sketches = sketches
        self._drawing = drawing

    def started(self) -> None:
        self._sketches.started()

    def step(self, done: int, steps: int) -> None:
        self._sketches.step(done, steps)

    def preview(self, order: int, pixels: Pixels) -> None:
        self._sketches.show(self._drawing, pixels)
