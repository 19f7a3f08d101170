"""Pictures as requests have them: files, links, data URIs, base64."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass

from gateway.adapters.fetch import PictureFetcher
from gateway.api.inline_picture import decode_picture, is_inline
from gateway.domain.edits import PictureFile


@dataclass(frozen=True, slots=True)
class PictureReference:
    """A picture as a request has it: a file that came with it, or a text (link, data URI, base64). `field` as sent."""

    field: str
    source: str | PictureFile


async def open_picture(reference: PictureReference, fetcher: PictureFetcher, stack: ExitStack) -> PictureFile:
    """At its beginning; `stack` closes what was decoded or fetched. Raises ImageLoadError."""
    source = reference.source
    if isinstance(source, PictureFile):
        return source
    if is_inline(source):
        picture = await asyncio.to_thread(decode_picture, source, reference.field)
    else:
        picture = await fetcher.fetch(source, reference.field)
    stack.callback(picture.file.close)
    return picture
