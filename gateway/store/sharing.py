"""Pictures that callers fetch by link."""

import math
import time

from gateway.domain.files import FileType
from gateway.store.pictures import PictureStore
from gateway.store.signing import UrlSigner

FILES_PATH = "/files"
_MARGIN = 60
"""Seconds that a picture outlives its link, so that who follows it in its last moment gets the picture."""


class PictureSharing:
    """Keeps pictures and hands out links that are good for as long as they are wanted, and no longer."""

    def __init__(self, pictures: PictureStore, signer: UrlSigner) -> None:
        self._pictures = pictures
        self._signer = signer

    async def share(self, data: bytes, file_type: FileType, base_url: str, lifetime_seconds: float) -> str:
        """An absolute link. Raises StoreUnavailable."""
        return (await self.keep(data, file_type, base_url, lifetime_seconds))[1]

    async def keep(self, data: bytes, file_type: FileType, base_url: str, lifetime_seconds: float) -> tuple[str, str]:
        """The picture's name too, for those who may want to delete it early."""
        expires = math.ceil(time.time() + lifetime_seconds)
        name = await self._pictures.put(data, file_type, expires + _MARGIN)
        link = self._signer.sign(name, expires)
        return name, f"{base_url}{FILES_PATH}/{link.name}?expires={link.expires}&signature={link.signature}"
