"""Pictures that tests send."""

import base64
import io

import numpy as np
from PIL import Image


def noise_picture(width: int, height: int, *, channels: int = 3, seed: int = 0) -> Image.Image:
    """Every pixel differs from its neighbours: nothing can be moved, scaled or compressed unnoticed."""
    shape = (height, width, channels) if channels > 1 else (height, width)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def file_of(image: Image.Image, file_format: str = "PNG", **options: object) -> io.BytesIO:
    """The picture as an open file with a name, as clients send one."""
    file = io.BytesIO()
    image.save(file, file_format, **options)
    file.seek(0)
    file.name = f"picture.{file_format.lower()}"
    return file


def mask_of(width: int, height: int, box: tuple[int, int, int, int]) -> Image.Image:
    """Opaque but for `box` (left, top, right, bottom)."""
    mask = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), box)
    return mask


def pixels_of(b64: str | None) -> np.ndarray:
    """[height, width, 3] of a picture in an answer."""
    assert b64
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(b64))).convert("RGB"))
