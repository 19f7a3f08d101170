"""What all tabs share: a button that starts an order, one that cancels it, and what is seen until it ends."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from gateway.ui.answers import JobAnswer
from gateway.ui.api import Api, ApiError
from gateway.ui.progress import error_html, hint_html, progress_html, warnings_html
from gateway.ui.run import Moment, run
from gateway.ui.shown import ShownPictures
from gateway.ui.stages import Stages
from gateway.ui.visitor import api_of

EXACT = "The same to the last bit for the same seed, whatever else the server does; slower"
"""Of the setting that all tabs have."""
Changes = dict[gr.components.Component, Any]
"""New values of components; the others stay as they are."""
Place = Callable[[Api], Awaitable[str]]
"""Orders something and returns its job's id."""
Show = Callable[[Api, JobAnswer], Awaitable[Changes]]
"""What an order that is done changes on the page."""
Arrange = Callable[[Mapping[int, str]], Any]
"""What a preview shows of the newest estimates by picture, of which the newest of all is the last."""


class Stops:
    """Orders under way by the visitor who may stop them; a visitor has one at a time."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Event] = {}

    @contextmanager
    def order(self, visitor: str) -> Iterator[asyncio.Event]:
        """While it is under way: set when the visitor wants it stopped."""
        wanted = self._under_way[visitor] = asyncio.Event()
        try:
            yield wanted
        finally:
            if self._under_way.get(visitor) is wanted:
                del self._under_way[visitor]

    def stop(self, visitor: str) -> None:
        """Nothing happens where nothing is under way."""
        if visitor in self._under_way:
            self._under_way[visitor].set()


def newest(estimates: Mapping[int, str]) -> str:
    """For a preview of one picture."""
    return list(estimates.values())[-1]


@dataclass(frozen=True)
class Panel:
    """Laid out by its tab. `start` and `stop` take each other's place; `preview` shows what `arrange` makes of it."""

    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    preview: gr.Image | gr.Gallery
    stages: Stages
    pictures: ShownPictures
    arrange: Arrange = newest
    stops: Stops = field(default_factory=Stops)

    @property
    def components(self) -> list[gr.components.Component]:
        """What `play` changes besides what `show` does."""
        return [self.start, self.stop, self.status, self.preview]

    def connect_stop(self) -> None:
        """The stop button does what it says."""

        def stop(request: gr.Request) -> Changes:
            self.stops.stop(_visitor(request))
            return {self.stop: gr.update(interactive=False, value="Cancelling")}

        self.stop.click(stop, None, [self.stop], queue=False, show_progress="hidden", api_visibility="private")

    async def play(self, request: gr.Request, place: Place, show: Show) -> AsyncGenerator[Changes, None]:
        """One order from its start to its end; errors are shown in the API's words."""
        yield {
            self.start: gr.update(visible=False),
            self.stop: gr.update(visible=True, interactive=True, value="Cancel"),
        }
        ending: Changes = {}
        estimates: dict[int, str] = {}
        try:
            with self.stops.order(_visitor(request)) as stop:
                async with api_of(request) as api, aclosing(run(api, lambda: place(api), stop)) as moments:
                    async for moment in moments:
                        yield await self._during(api, moment, estimates)
                        if moment.answer is not None:
                            ending = await show(api, moment.answer)
                            ending[self.status] = self._status(moment) + warnings_html(moment.answer.warnings or ())
        except ApiError as error:
            ending = {self.status: error_html(error.problem.message, error.problem.param)}
        yield {
            self.start: gr.update(visible=True),
            self.stop: gr.update(visible=False),
            self.preview: gr.update(value=None, visible=False),
            **ending,
        }

    async def _during(self, api: Api, moment: Moment, estimates: dict[int, str]) -> Changes:
        changes: Changes = {self.status: self._status(moment)}
        if moment.preview is not None:
            estimates.pop(moment.index, None)
            estimates[moment.index] = await self.pictures.keep(api, moment.preview, "preview")
            changes[self.preview] = gr.update(value=self.arrange(estimates), visible=True)
        return changes

    def _status(self, moment: Moment) -> str:
        return progress_html(moment.progress, self.stages)


def panel_status(hint: str, name: str) -> gr.HTML:
    """Where a panel says what goes on; at first what to do."""
    return gr.HTML(hint_html(hint), elem_id=name)


def panel_preview(name: str) -> gr.Image:
    """Where estimates are seen while a picture forms."""
    return gr.Image(label="Forming", visible=False, interactive=False, buttons=[], elem_id=name, elem_classes="forming")


def _visitor(request: gr.Request) -> str:
    return request.session_hash or ""
