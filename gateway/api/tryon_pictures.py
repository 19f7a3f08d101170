"""From what a request says of its pictures to open files."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.adapters.fetch import PictureFetcher
from gateway.api.picture_sources import open_picture
from gateway.api.tryon_sources import TryOnPictures
from gateway.domain.edits import PictureFile


@dataclass(frozen=True, slots=True)
class TryOnFiles:
    """The pictures, open at their beginnings."""

    person: PictureFile
    garments: tuple[PictureFile, ...]
    mask: PictureFile | None


@asynccontextmanager
async def opened(pictures: TryOnPictures, fetcher: PictureFetcher) -> AsyncIterator[TryOnFiles]:
    """Links are fetched all at once; what was fetched is gone when the block ends. Raises ImageLoadError."""
    with ExitStack() as stack:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(open_picture(each, fetcher, stack)) for each in pictures.all()]
        except ExceptionGroup as error:
            raise error.exceptions[0] from None
        files = [task.result() for task in tasks]
        mask = files.pop() if pictures.mask else None
        yield TryOnFiles(files[0], tuple(files[1:]), mask)
