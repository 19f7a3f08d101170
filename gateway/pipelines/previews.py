"""Estimates of pictures that form, rendered beside the denoising."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar

from gateway.domain.backend import DenoiseEvent, DenoiseJob, Latents, Preview, StepDone
from gateway.domain.errors import GatewayError
from gateway.domain.pictures import GenerateListener, PartialPicture, Picture
from gateway.pipelines.sampling import Sampling

Estimate = TypeVar("Estimate")
"""What pictures are rendered from: latents, or the pixels of a part."""


class SeesPartials(Protocol):
    """As `GenerateListener` and others have it."""

    def partial(self, picture: PartialPicture) -> None:
        """An estimate is ready to be shown."""


class Previews(Generic[Estimate]):
    """Renders previews in order, so that a slow decode never holds back the steps' events."""

    def __init__(
        self, render: Callable[[Estimate], Awaitable[tuple[Picture, ...]]], listener: SeesPartials | None
    ) -> None:
        self._render = render
        self._listener = listener
        self._waiting: asyncio.Queue[Estimate | None] = asyncio.Queue()

    def add(self, estimate: Estimate) -> None:
        """Render these next."""
        self._waiting.put_nowait(estimate)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Leaves when every preview was shown. An error on either side ends both and is raised as itself."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._render_all())
                yield
                self._waiting.put_nowait(None)
        except ExceptionGroup as group:
            # Not `except*`: early releases of Python 3.11 wrap what such a clause raises into a group of its own.
            errors, others = group.split(GatewayError)
            if errors is None or others is not None:
                raise
            raise errors.exceptions[0] from None

    async def _render_all(self) -> None:
        order = 0
        while (estimate := await self._waiting.get()) is not None:
            for picture in await self._render(estimate):
                if self._listener is not None:
                    self._listener.partial(PartialPicture(picture.index, order, picture.data, picture.size))
            order += 1


async def with_previews(
    sampling: Sampling,
    job: DenoiseJob,
    render: Callable[[Latents], Awaitable[tuple[Picture, ...]]],
    listener: GenerateListener | None,
) -> Latents:
    """Run the job and tell of it; `render` makes pictures of its previews."""
    previews = Previews(render, listener)

    def hear(event: DenoiseEvent) -> None:
        if listener is not None:
            listener.started()
            if isinstance(event, StepDone | Preview):
                listener.progress(event.step / job.steps)
        if isinstance(event, Preview):
            previews.add(event.latents)

    async with previews.running():
        return await sampling.latents(job, hear)
