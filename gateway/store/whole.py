"""Writes that nobody cuts off in the middle."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


def whole(write: Callable[Given, Coroutine[Any, Any, Result]]) -> Callable[Given, Coroutine[Any, Any, Result]]:
    """A caller who is cancelled waits for the end of the write: a statement that is cut off in a driver's thread may
    keep its connection, and with it all of SQLite, locked.
    """

    @functools.wraps(write)
    async def to_its_end(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        writing = asyncio.ensure_future(write(*args, **kwargs))
        cancelled: asyncio.CancelledError | None = None
        while not writing.done():
            try:
                await asyncio.wait({writing})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is None:
            return writing.result()
        writing.exception()  # it was seen: nobody is left to whom it matters
        raise cancelled

    return to_its_end
