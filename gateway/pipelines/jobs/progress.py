"""What a job tells while it is done, on its way into its record."""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.errors import StoreUnavailable
from gateway.domain.pictures import PictureFormat
from gateway.pipelines.jobs.bell import rung
from gateway.pipelines.jobs.handler import JobFiles, JobProgress
from gateway.store.job_leases import JobLeases

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.1
"""Between writes: a job of a hundred steps in a second is no hundred writes."""


@dataclass(frozen=True, slots=True)
class _Stage:
    name: str


@dataclass(frozen=True, slots=True)
class _Share:
    share: float


@dataclass(frozen=True, slots=True)
class _Preview:
    data: bytes
    file_format: PictureFormat
    image_index: int
    order: int


class ProgressWriter(JobProgress):
    """Writes in order, beside the work; of several shares of progress that wait only the last one.

    Progress is not worth a failure: what cannot be written is left out. `lost` is called when the lease is.
    """

    def __init__(self, leases: JobLeases, lease: str, files: JobFiles, lost: Callable[[], None]) -> None:
        self._leases = leases
        self._lease = lease
        self._files = files
        self._lost = lost
        self._waiting: deque[_Stage | _Share | _Preview] = deque()
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._told: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None

    def start(self, told: Callable[[], None]) -> None:
        """Begin to write; `told` is called after every write."""
        self._told = told
        self._task = asyncio.create_task(self._write_all())

    async def finish(self) -> None:
        """Write what is left, and end."""
        self._over.set()
        self._news.set()
        if self._task is not None:
            await self._task

    async def stop(self) -> None:
        """End now."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def stage(self, name: str) -> None:
        """See JobProgress."""
        self._add(_Stage(name))

    def progress(self, share: float) -> None:
        """See JobProgress."""
        if self._waiting and isinstance(self._waiting[-1], _Share):
            self._waiting.pop()
        self._add(_Share(round(min(1.0, max(0.0, share)), 4)))

    def preview(self, data: bytes, file_format: PictureFormat, *, image_index: int, order: int) -> None:
        """See JobProgress."""
        self._add(_Preview(data, file_format, image_index, order))

    def _add(self, item: _Stage | _Share | _Preview) -> None:
        self._waiting.append(item)
        self._news.set()

    async def _write_all(self) -> None:
        while self._waiting or not self._over.is_set():
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._write(self._waiting.popleft())
            await rung(self._over, _PAUSE_SECONDS)

    async def _write(self, item: _Stage | _Share | _Preview) -> None:
        now = time.time()
        try:
            match item:
                case _Stage():
                    held = await self._leases.stage(self._lease, item.name, now)
                case _Share():
                    held = await self._leases.progress(self._lease, item.share, now)
                case _Preview():
                    url = await self._files.keep(item.data, item.file_format.file_type)
                    told = {"url": url, "image_index": item.image_index, "partial_image_index": item.order}
                    held = await self._leases.preview(self._lease, json.dumps(told), now)
        except StoreUnavailable:
            logger.warning("a job's progress could not be written")
            return
        if held:
            self._told()
        else:
            self._lost()
