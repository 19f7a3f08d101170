"""Picture files that came in to pixels: checked before they are decoded, upright, sRGB; right or refused.

Where they come from is the caller's business: a file is all that is asked for.
"""

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from gateway.domain.edits import PictureFile
from gateway.domain.errors import GatewayError, InvalidRequest
from gateway.domain.layers import Sheet

_FORMATS = ("PNG", "JPEG", "WEBP")
_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
_THREADS = 2
"""A picture of 50 megapixels takes up to 600 MB while it is decoded: never many at once."""

_Read = TypeVar("_Read")
Channel = npt.NDArray[np.uint8]
"""[height, width]."""


@dataclass(frozen=True, slots=True)
class IncomingPicture:
    """`pixels` [height, width, 3] sRGB, laid over white where transparent; `alpha` None for formats without any."""

    pixels: npt.NDArray[np.uint8]
    alpha: Channel | None


class PictureReader:
    """Decodes off the event loop."""

    def __init__(self, max_pixels: int) -> None:
        self.max_pixels = max_pixels
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="incoming")

    async def read(self, picture: PictureFile) -> IncomingPicture:
        """Raises InvalidRequest naming the field."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, read_picture, picture, self.max_pixels)

    async def read_sheet(self, picture: PictureFile) -> Sheet:
        """With its alpha, colours straight. Raises InvalidRequest naming the field."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, read_sheet, picture, self.max_pixels)

    def close(self) -> None:
        """Let running work end and free the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def read_picture(picture: PictureFile, max_pixels: int) -> IncomingPicture:
    """Raises InvalidRequest naming the field. A picture of more than `max_pixels` is refused by its header alone."""
    return _decoded(picture, max_pixels, _split)


def read_sheet(picture: PictureFile, max_pixels: int) -> Sheet:
    """As `read_picture`, as RGBA: opaque where the file has no transparency."""
    return _decoded(picture, max_pixels, lambda image: np.array(image.convert("RGBA")))


def _decoded(picture: PictureFile, max_pixels: int, read: Callable[[Image.Image], _Read]) -> _Read:
    """`read` gets the picture upright, RGB or RGBA."""
    try:
        with Image.open(picture.file, formats=_FORMATS) as image:
            _check(image, picture.field, max_pixels)
            image.load()
            return read(_srgb(ImageOps.exif_transpose(image), picture.field))
    except (GatewayError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(picture.field, "", max_pixels) from error
    except UnidentifiedImageError as error:
        raise InvalidRequest(
            f"'{picture.field}' is no picture that can be read; allowed: PNG, JPEG and WebP files", param=picture.field
        ) from error
    # Pillow's decoders meet hostile bytes with whatever exception comes first.
    except Exception as error:
        raise InvalidRequest(f"'{picture.field}' is damaged: {error}", param=picture.field) from error


def _check(image: Image.Image, field: str, max_pixels: int) -> None:
    """By the header alone."""
    if image.width * image.height > max_pixels:
        raise _too_large(field, f": it has {image.width}x{image.height} pixels", max_pixels)
    # A JPEG with several pictures in it (MPO) is one picture with its thumbnails or depths; the first is meant.
    if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise InvalidRequest(f"'{field}' is animated; send the one frame that is meant", param=field)


def _too_large(field: str, what: str, max_pixels: int) -> InvalidRequest:
    return InvalidRequest(
        f"'{field}' is too large{what}; allowed: at most {max_pixels} pixels in all",
        code="image_too_large",
        param=field,
    )


def _srgb(image: Image.Image, field: str) -> Image.Image:
    """RGB, or RGBA where the file has transparency."""
    if image.mode in _SIXTEEN_BITS:
        return _from_sixteen_bits(image)
    if image.mode not in _MODES:
        raise InvalidRequest(f"'{field}' holds pixels of the kind {image.mode}, which cannot be read", param=field)
    if image.has_transparency_data:
        return _profiled(image, "RGBA")
    return _profiled(image, "RGB")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    """Grey. The high byte, as Pillow reads colours of 16 bits; its own conversion cuts off everything above 255."""
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _profiled(image: Image.Image, mode: str) -> Image.Image:
    """In `mode`; colours of another space by the profile that the file carries."""
    profile = image.info.get("icc_profile")
    converted = image.convert(mode)
    if not profile:
        return converted
    # Palettes are described in RGB; transparency has no colour.
    source = image.convert("RGB") if image.mode in ("P", "PA", "RGBA") else image
    source = image.convert("L") if image.mode in ("1", "LA") else source
    try:
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
        # Between two profiles of sRGB the transform would only add rounding.
        if "srgb" in ImageCms.getProfileDescription(opened).lower():
            return converted
        colours = ImageCms.profileToProfile(source, opened, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:
        # A profile that is broken or of other channels: viewers ignore it too.
        return converted
    assert colours is not None
    if mode == "RGBA":
        colours.putalpha(converted.getchannel("A"))
    return colours


def _split(image: Image.Image) -> IncomingPicture:
    if image.mode == "RGB":
        return IncomingPicture(np.array(image), None)
    white = Image.new("RGBA", image.size, "white")
    return IncomingPicture(
        np.array(Image.alpha_composite(white, image).convert("RGB")), np.array(image.getchannel("A"))
    )
