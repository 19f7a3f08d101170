"""Work that is only worth doing while the client still waits."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from starlette.types import Receive

from gateway.domain.errors import ClientGone

_T = TypeVar("_T")


async def run_while_connected(receive: Receive, work: Coroutine[object, object, _T]) -> _T:
    """The result of `work`; raises ClientGone, with the work cancelled and over, once the client hangs up.

    The request's body must have been read: from then on `receive` tells of nothing but the end.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_hang_up(receive))
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone("the client closed the connection")
        return task.result()
    finally:
        for each in (task, watcher):
            each.cancel()
        # Also when this very task is being cancelled: nothing may be left running behind it.
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _hang_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
