"""The pictures that a job begins from, kept until it ends."""

import asyncio
import io
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from gateway.domain.edits import PictureFile
from gateway.domain.errors import StoreUnavailable
from gateway.store.objects import ObjectStore

_FOLDER = "inputs"
_ORPHANED = timedelta(hours=1)
"""Files are stored before the job's record is: none of those may be younger."""


class WrittenOrder(BaseModel):
    """What a job's record holds: the kind's own JSON, and which field each of its files came in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: str
    fields: tuple[str, ...]


class JobInputs:
    """Objects `inputs/<job>/<place>`; no link leads to them."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def put(self, job_id: str, files: tuple[PictureFile, ...]) -> None:
        """Copy them. Raises StoreUnavailable, having deleted what was written."""
        try:
            for place, picture in enumerate(files):
                await self._objects.put(_key(job_id, place), await asyncio.to_thread(_content, picture))
        except StoreUnavailable:
            await self.delete(job_id, len(files))
            raise

    async def open(self, job_id: str, fields: tuple[str, ...]) -> tuple[PictureFile, ...]:
        """In the order in which they came. Raises StoreUnavailable."""
        files = []
        for place, field in enumerate(fields):
            data = await self._objects.get(_key(job_id, place))
            if data is None:
                raise StoreUnavailable(f"the job's picture {place} ({field}) is not in the store")
            files.append(PictureFile(field, io.BytesIO(data)))
        return tuple(files)

    async def delete(self, job_id: str, count: int) -> None:
        """Raises StoreUnavailable."""
        await self._objects.delete([_key(job_id, place) for place in range(count)])

    async def sweep(self, open_jobs: set[str]) -> int:
        """Delete what belongs to none of these, such as files of a gateway that died while it took a job."""
        oldest = datetime.now(UTC) - _ORPHANED
        orphans = [
            entry.key
            async for entry in self._objects.entries(f"{_FOLDER}/")
            if entry.modified < oldest and entry.key.split("/")[1] not in open_jobs
        ]
        await self._objects.delete(orphans)
        return len(orphans)


def _key(job_id: str, place: int) -> str:
    return f"{_FOLDER}/{job_id}/{place}"


def _content(picture: PictureFile) -> bytes:
    picture.file.seek(0)
    content = picture.file.read()
    picture.file.seek(0)
    return content
