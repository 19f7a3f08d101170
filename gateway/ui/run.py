"""One visitor's order, from its placing to its end: what the page shows meanwhile, and that nothing is left running."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace

from gateway.ui.answers import JobAnswer, JobTold
from gateway.ui.api import Api, ApiError
from gateway.ui.progress import Phase, Progress
from gateway.ui.ticking import ticking

_TICK_SECONDS = 1.0
"""How long the page may be silent: its seconds go on, and it is found out that a visitor has left."""
_PHASES = {
    "queued": Phase.QUEUED,
    "generating": Phase.WORKING,
    "completed": Phase.DONE,
    "failed": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
}
_FINAL = (Phase.DONE, Phase.FAILED, Phase.CANCELLED)


@dataclass(frozen=True, slots=True)
class Moment:
    """What to show. `preview`: the link to a new estimate, of picture `index`. `answer`: of an order that is done."""

    progress: Progress
    preview: str | None = None
    index: int = 0
    answer: JobAnswer | None = None


async def run(api: Api, place: Callable[[], Awaitable[str]], stop: asyncio.Event) -> AsyncGenerator[Moment, None]:
    """Place an order, whose job's id `place` returns, and tell of it until it ends. Raises ApiError.

    `stop` cancels the job, and so does whoever stops listening before its end, by closing the page or otherwise.
    """
    began = time.monotonic()
    progress = Progress(Phase.STARTING)
    yield Moment(progress)
    placing = asyncio.ensure_future(place())
    stopping = asyncio.create_task(_cancel_on(stop, api, placing))
    try:
        # Shielded: an order that is on its way while the visitor leaves is waited for, and then cancelled.
        job = await asyncio.shield(placing)
        async with aclosing(ticking(api.job(job), _TICK_SECONDS)) as told:
            async for news in told:
                progress = replace(_after(progress, news), seconds=time.monotonic() - began)
                if news is not None and news.error is not None:
                    raise ApiError(news.error)
                yield (
                    Moment(progress) if news is None else Moment(progress, news.url, news.image_index or 0, news.result)
                )
                if progress.phase in _FINAL:
                    return
    finally:
        stopping.cancel()
        if progress.phase not in _FINAL:
            with suppress(ApiError):
                await api.cancel(await placing)


async def _cancel_on(stop: asyncio.Event, api: Api, placing: asyncio.Future[str]) -> None:
    """The job itself tells that it was cancelled; what goes wrong here shows there too."""
    await stop.wait()
    with suppress(ApiError):
        await api.cancel(await asyncio.shield(placing))


def _after(progress: Progress, news: JobTold | None) -> Progress:
    if news is None:
        return progress
    return replace(
        progress,
        phase=progress.phase if news.status is None else _PHASES.get(news.status, progress.phase),
        share=progress.share if news.progress is None else news.progress,
        stage=news.stage or progress.stage,
        place=news.queue_position,
    )
