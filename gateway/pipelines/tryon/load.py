"""Files that came in to pixels that the stages can work with."""

from dataclasses import dataclass

from PIL import Image

from gateway.domain.edits import PictureFile
from gateway.domain.errors import InvalidRequest
from gateway.domain.pictures import PictureSize
from gateway.domain.tryon import TryOnCommand
from gateway.domain.tryon_drawing import MaskPixels, Rgb
from gateway.domain.tryon_errors import ImageLoadError
from gateway.pipelines.frame import resize, size_of
from gateway.pipelines.incoming import IncomingPicture, PictureReader
from gateway.pipelines.tryon.person import check_size
from gateway.pipelines.tryon.region import mask_of

_GARMENT_SIDE = 1536
"""Garments are worked on at this size at most: they are drawn anew, none of their pixels is kept."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """`person` [height, width, 3] and `mask` [height, width] at the photograph's size; garments as commanded."""

    person: Rgb
    garments: tuple[Rgb, ...]
    mask: MaskPixels | None


async def load(command: TryOnCommand, reader: PictureReader) -> Loaded:
    """Upright, sRGB, large enough. Raises ImageLoadError, InputValidationError naming the field."""
    person = await _read(reader, command.person)
    check_size(person.pixels, command.person.field)
    garments = []
    for garment in command.garments:
        picture = await _read(reader, garment.picture)
        check_size(picture.pixels, garment.picture.field)
        garments.append(_reduced(picture.pixels))
    mask = None
    if command.mask is not None:
        field = command.mask.picture.field
        mask = mask_of(await _read(reader, command.mask.picture), command.mask.polarity, person, field)
    return Loaded(person.pixels, tuple(garments), mask)


async def _read(reader: PictureReader, file: PictureFile) -> IncomingPicture:
    try:
        return await reader.read(file)
    except InvalidRequest as error:
        raise ImageLoadError(error.message, param=error.param) from error


def _reduced(pixels: Rgb) -> Rgb:
    size = size_of(pixels)
    factor = max(size.width, size.height) / _GARMENT_SIDE
    if factor <= 1:
        return pixels
    smaller = PictureSize(max(1, round(size.width / factor)), max(1, round(size.height / factor)))
    return resize(pixels, smaller, Image.Resampling.LANCZOS)
