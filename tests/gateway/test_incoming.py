"""Pictures that come in are right or refused, never wrong."""

import io
import struct
import threading
import time
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from gateway.domain.edits import PictureFile
from gateway.domain.errors import InvalidRequest
from gateway.pipelines.incoming import IncomingPicture, PictureReader, read_picture, read_sheet
from tests.gateway.pictures import file_of, noise_picture

MOST = 1_000_000


def read(file: io.BytesIO, most: int = MOST) -> IncomingPicture:
    return read_picture(PictureFile("image", file), most)


def refused(file: io.BytesIO, most: int = MOST) -> str:
    with pytest.raises(InvalidRequest) as caught:
        read(file, most)
    assert caught.value.param == "image" and "'image'" in caught.value.message
    return caught.value.message


def by_pillow(file: io.BytesIO) -> np.ndarray:
    """What Pillow's own conversions make of it, over white."""
    with Image.open(io.BytesIO(file.getvalue())) as image:
        rgba = ImageOps.exif_transpose(image).convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, data: bytes, *extra: bytes) -> io.BytesIO:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(data))
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + body + png_chunk(b"IEND", b""))


def palette(transparency: bytes | int | None) -> io.BytesIO:
    options = {} if transparency is None else {"transparency": transparency}
    return file_of(noise_picture(20, 13).quantize(16), **options)


ORDINARY = {
    "rgb": lambda: file_of(noise_picture(20, 13)),
    "rgba": lambda: file_of(noise_picture(20, 13, channels=4)),
    "grey": lambda: file_of(noise_picture(20, 13, channels=1)),
    "grey with alpha": lambda: file_of(noise_picture(20, 13, channels=2)),
    "one bit": lambda: file_of(noise_picture(20, 13, channels=1).convert("1")),
    "palette": lambda: palette(None),
    "palette, one colour transparent": lambda: palette(3),
    "palette, each colour with its own": lambda: palette(bytes(range(0, 256, 16))),
    "rgb, one colour transparent": lambda: file_of(Image.new("RGB", (5, 5), "red"), transparency=(255, 0, 0)),
    "grey, one shade transparent": lambda: file_of(Image.new("L", (5, 5), 9), transparency=9),
    "jpeg": lambda: file_of(noise_picture(20, 13), "JPEG"),
    "grey jpeg": lambda: file_of(noise_picture(20, 13, channels=1), "JPEG"),
    "cmyk jpeg": lambda: file_of(noise_picture(20, 13).convert("CMYK"), "JPEG"),
    "webp": lambda: file_of(noise_picture(20, 13), "WEBP"),
    "webp with alpha": lambda: file_of(noise_picture(20, 13, channels=4), "WEBP", lossless=True, exact=True),
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_a_kind_of_picture_is_what_pillow_makes_of_it(kind: str) -> None:
    file = ORDINARY[kind]()
    picture = read(file)
    assert np.array_equal(picture.pixels, by_pillow(file))
    file.seek(0)
    sheet = read_sheet(PictureFile("image", file), MOST)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        assert np.array_equal(sheet, np.asarray(image.convert("RGBA")))
    has_alpha = "alpha" in kind or "transparent" in kind or "its own" in kind or kind == "rgba"
    assert (picture.alpha is not None) is has_alpha


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(["RGB", "RGBA", "L", "LA", "P", "1"]),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    orientation=st.integers(1, 8),
    seed=st.integers(0, 1000),
)
def test_any_size_mode_and_orientation(mode: str, width: int, height: int, orientation: int, seed: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = file_of(noise_picture(width, height, channels=4, seed=seed).convert(mode), exif=exif)
    picture = read(file)
    assert np.array_equal(picture.pixels, by_pillow(file))
    assert picture.pixels.shape[:2] == ((height, width) if orientation < 5 else (width, height))


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
def test_exif_turns_the_picture(file_format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = file_of(noise_picture(24, 16), file_format, exif=exif)
    assert read(file).pixels.shape == (24, 16, 3)
    assert np.array_equal(read(file).pixels, by_pillow(file))


def test_sixteen_bits_keep_their_high_byte() -> None:
    values = np.arange(64 * 32, dtype=np.uint16).reshape(32, 64) * 31
    grey = read(file_of(Image.fromarray(values)))
    assert np.array_equal(grey.pixels, np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2))
    assert grey.alpha is None

    colours = np.random.default_rng(1).integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colours)
    assert np.array_equal(read(png(7, 5, 16, 2, rows)).pixels, (colours >> 8).astype(np.uint8))

    one = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    cut = read(png(64, 32, 16, 0, one, png_chunk(b"tRNS", struct.pack(">H", 31))))
    assert cut.alpha is not None and (cut.alpha == 0).sum() == 1 and cut.alpha[0, 1] == 0
    assert cut.pixels[0, 1].tolist() == [255, 255, 255]


def test_a_colour_profile_is_applied() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # The same primaries by other names: what is called red is green.
    swapped = srgb.replace(b"rXYZ", b"tmpX", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"tmpX", b"gXYZ", 1)
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    image = noise_picture(30, 30)
    pixels = read(file_of(image, icc_profile=swapped)).pixels.astype(int)
    assert np.abs(pixels - np.asarray(image)[..., [1, 0, 2]].astype(int)).max() <= 2
    for profile in (srgb, b"no profile at all", srgb[:200]):
        assert np.array_equal(read(file_of(image, icc_profile=profile)).pixels, np.asarray(image))
    with_alpha = read(file_of(noise_picture(30, 30, channels=4), icc_profile=swapped))
    assert np.array_equal(with_alpha.alpha, np.asarray(noise_picture(30, 30, channels=4))[..., 3])  # type: ignore[arg-type]


@pytest.mark.parametrize(("side", "most"), [(50_000, 50_000_000), (8_000, 50_000_000), (1001, 1_000_000)])
def test_a_bomb_is_refused_by_its_header(side: int, most: int) -> None:
    begun = time.thread_time()
    assert f"at most {most} pixels" in refused(png(side, side, 8, 2, b""), most)
    assert time.thread_time() - begun < 2


def test_a_text_that_unpacks_to_much_is_refused() -> None:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(70_000_000)))
    assert "damaged" in refused(png(1, 1, 8, 0, b"\0\0", text))


def test_animated_pictures_are_refused() -> None:
    frames = [noise_picture(8, 8, seed=seed) for seed in range(3)]
    for file_format in ("PNG", "WEBP"):
        assert "animated" in refused(file_of(frames[0], file_format, save_all=True, append_images=frames[1:]))


def test_of_a_photo_with_several_pictures_the_first_is_meant() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    file = file_of(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert read(file).pixels[0, 0, 0] > 200


@pytest.mark.parametrize(
    "data",
    [
        b"no picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a" + bytes(20),
        file_of(noise_picture(9, 9), "GIF").getvalue(),
        file_of(noise_picture(9, 9), "BMP").getvalue(),
        file_of(noise_picture(9, 9), "TIFF").getvalue(),
        file_of(noise_picture(90, 90)).getvalue()[:9000],
        file_of(noise_picture(90, 90), "JPEG").getvalue()[:2000],
        file_of(noise_picture(90, 90), "WEBP").getvalue()[:2000],
    ],
    ids=range(10),
)
def test_what_is_no_whole_picture_is_refused(data: bytes) -> None:
    refused(io.BytesIO(data))


_WHOLE = [file_of(noise_picture(24, 24), kind).getvalue() for kind in ("PNG", "JPEG", "WEBP")]


@settings(max_examples=100, deadline=None)
@given(
    whole=st.sampled_from(_WHOLE),
    places=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damage_is_read_or_refused_and_never_a_defect(whole: bytes, places: list[tuple[float, int]]) -> None:
    data = bytearray(whole)
    for place, value in places:
        data[int(place * len(data))] = value
    try:
        picture = read(io.BytesIO(bytes(data)))
    except InvalidRequest as error:
        assert error.param == "image"
    else:
        assert picture.pixels.dtype == np.uint8 and picture.pixels.shape[2] == 3


class _Watched(io.BytesIO):
    threads: set[str]

    def read(self, size: int | None = -1) -> bytes:
        self.threads.add(threading.current_thread().name)
        return super().read(size)


async def test_nothing_is_read_on_the_event_loop() -> None:
    file: Any = _Watched(file_of(noise_picture(64, 64)).getvalue())
    file.threads = set()
    reader = PictureReader(MOST)
    await reader.read(PictureFile("image", file))
    reader.close()
    assert file.threads and all(name.startswith("incoming") for name in file.threads)
