"""ComposeCommands to pictures: read the layers, put them together, write files; never on the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from gateway.domain.composing import ComposeCommand, ComposeResult
from gateway.domain.errors import InvalidRequest, Overloaded
from gateway.domain.layers import LayersFormat, Sheet
from gateway.domain.pictures import PictureEncoding, PictureFormat, PictureSize
from gateway.pipelines.frame import size_of
from gateway.pipelines.imaging import encode_picture, encode_sheet
from gateway.pipelines.incoming import PictureReader
from gateway.pipelines.layers.blend import BlendMode
from gateway.pipelines.layers.compose import compose
from gateway.pipelines.layers.files import pack_stack
from gateway.pipelines.layers.placed import Placed

_AT_ONCE = 2
"""What lies in memory at the same time, and runs."""
_MOST_WAITING = 32
_PLENTY = 4
"""Pixels of all layers together, as a multiple of the largest picture that is read."""
_QUALITY = 95
"""Of JPEG."""


class Composer:
    """Belongs to one event loop."""

    def __init__(self, reader: PictureReader) -> None:
        self._reader = reader
        self._most = reader.max_pixels
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="compose")

    async def run(self, command: ComposeCommand) -> ComposeResult:
        """See `gateway.domain.composing.Composes`."""
        if self._waiting >= _MOST_WAITING:
            raise Overloaded(f"{self._waiting} requests wait to be composed, which is the limit", retry_after=1)
        if command.size is not None:
            self._check_size(command.size, "size")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            layers = await self._read(command)
            size = command.size or size_of(layers[0].pixels)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, _composed, command, layers, size)
        finally:
            self._turns.release()

    def close(self) -> None:
        """Let running work end and free the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _read(self, command: ComposeCommand) -> list[Placed]:
        """One after another, so that too many are noticed before they all lie in memory."""
        layers, pixels = [], 0
        for layer in command.layers:
            sheet = await self._reader.read_sheet(layer.picture)
            pixels += sheet.shape[0] * sheet.shape[1]
            if pixels > _PLENTY * self._most:
                raise InvalidRequest(
                    f"'layers' are too large; allowed: at most {_PLENTY * self._most} pixels in all of them together",
                    code="image_too_large",
                    param=layer.picture.field,
                )
            layers.append(
                Placed(layer.name, sheet, layer.x, layer.y, layer.opacity, layer.visible, BlendMode(layer.blend))
            )
        return layers

    def _check_size(self, size: PictureSize, field: str) -> None:
        if size.width * size.height > self._most:
            raise InvalidRequest(
                f"'{field}' {size} is too large; allowed: at most {self._most} pixels in all",
                code="image_too_large",
                param=field,
            )


def _composed(command: ComposeCommand, layers: list[Placed], size: PictureSize) -> ComposeResult:
    sheet = compose(layers, size, command.background)
    opaque = bool((sheet[..., 3] == 255).all())
    picture = _encoded(sheet, command.format, opaque=opaque)
    file = None if command.output is None else _packed(command, layers, sheet, command.output)
    return ComposeResult(picture, size, opaque, file)


def _encoded(sheet: Sheet, file_format: PictureFormat, *, opaque: bool) -> bytes:
    if file_format is not PictureFormat.JPEG:
        return encode_sheet(sheet, file_format)
    if not opaque:
        raise InvalidRequest(
            "'output_format' cannot be jpeg: the picture has transparent parts, and jpeg files have no alpha; give "
            "'background' a colour, or ask for png or webp",
            param="output_format",
        )
    return encode_picture(sheet[..., :3].copy(), PictureEncoding(file_format, _QUALITY, embed_parameters=False), "")


def _packed(command: ComposeCommand, layers: list[Placed], sheet: Sheet, output: LayersFormat) -> bytes:
    """A background is a layer of its own, as files have no other."""
    if command.background is None:
        return pack_stack(layers, sheet, output)
    ground = sheet.copy()
    ground[...] = (*command.background, 255)
    return pack_stack([Placed("background colour", ground), *layers], sheet, output)
