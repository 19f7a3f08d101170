"""Where an answer's files are: in it, or behind links."""

import base64
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gateway.domain.files import FileType

Keep = Callable[[bytes, FileType], Awaitable[str]]
"""Stores a file and returns the link to it."""


class Place(NamedTuple):
    """One of both."""

    b64_json: str | None
    url: str | None


async def place(data: bytes, file_type: FileType, keep: Keep | None) -> Place:
    """`keep` None: in the answer. Raises StoreUnavailable."""
    if keep is None:
        return Place(b64_json=base64.b64encode(data).decode(), url=None)
    return Place(b64_json=None, url=await keep(data, file_type))
