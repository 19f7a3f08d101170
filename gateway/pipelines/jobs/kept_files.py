"""The pictures of one job."""

import logging

from gateway.domain.errors import StoreUnavailable
from gateway.domain.files import FileType
from gateway.pipelines.jobs.handler import JobFiles
from gateway.store.pictures import PictureStore
from gateway.store.sharing import PictureSharing

logger = logging.getLogger(__name__)


class KeptFiles(JobFiles):
    """Kept for as long as the result, or deleted together when there will be none."""

    def __init__(self, sharing: PictureSharing, pictures: PictureStore, base_url: str, lifetime: float) -> None:
        self._sharing = sharing
        self._pictures = pictures
        self._base_url = base_url
        self._lifetime = lifetime
        self._names: list[str] = []

    async def keep(self, data: bytes, file_type: FileType) -> str:
        """See JobFiles. Raises StoreUnavailable."""
        name, link = await self._sharing.keep(data, file_type, self._base_url, self._lifetime)
        self._names.append(name)
        return link

    async def discard(self) -> None:
        """Delete all of them; those which cannot be deleted now expire by themselves."""
        names, self._names = self._names, []
        try:
            await self._pictures.delete(names)
        except StoreUnavailable:
            logger.warning("%d pictures of a job that has no result stay until they expire", len(names))
