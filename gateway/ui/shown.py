"""Pictures that visitors are shown, as files that Gradio hands out and deletes when they are old."""

import asyncio
import secrets
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from gateway.ui.api import Api


class ShownPictures:
    """`folder` is Gradio's own: what lies in it is handed out as it is, under names that cannot be guessed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, api: Api, link: str, name: str) -> str:
        """Fetch a picture of the API's; the path of a file called `name`, with the link's ending. Raises ApiError."""
        suffix = PurePosixPath(urlsplit(link).path).suffix
        return await self.write(await api.fetch(link), f"{name}{suffix}")

    async def write(self, data: bytes, name: str) -> str:
        """The path of a file of this name."""
        path = self._folder / secrets.token_hex(16) / name
        await asyncio.to_thread(_write, path, data)
        return str(path)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(data)
