"""Pictures that are texts: data URIs in all their spellings, bare base64, and what is neither."""

import base64

import pytest

from gateway.api.inline_picture import decode_picture, is_inline
from gateway.domain.tryon_errors import ImageLoadError

DATA = b"\x89PNG picture \xff\xfe"
CODED = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    "text",
    [
        CODED,
        CODED.rstrip("="),
        "\n".join((CODED[:8], CODED[8:])),
        f"data:image/png;base64,{CODED}",
        f"DATA:IMAGE/PNG;BASE64,{CODED}",
        f"data:image/jpeg;charset=utf-8;base64,{CODED}",
        f"data:;base64,{CODED}",
        f"data:application/octet-stream;base64, {CODED}",
    ],
)
def test_spellings(text: str) -> None:
    assert is_inline(text)
    picture = decode_picture(text, "mask")
    assert (picture.field, picture.file.read()) == ("mask", DATA)


@pytest.mark.parametrize("link", ["http://a/b.png", "HTTPS://a/b.png", "file:///etc/passwd", "gopher://a/"])
def test_links_are_not_inline(link: str) -> None:
    assert not is_inline(link)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("data:,", "not in base64"),
        ("data:image/png;base64,", "is empty"),
        ("data:image/png,%89PNG", "not in base64"),
        ("data:text/html;base64,PGI+", "allowed: image/png"),
        ("data:image/png;base64", "comma"),
        ("data:image/png;base64,@@@@", "base64 is broken"),
        ("data:image/png;base64,é", "base64 is broken"),
        ("person.png", "no link, no data URI and no base64"),
        ("\ud800", "no link, no data URI and no base64"),
    ],
)
def test_what_is_no_picture(text: str, says: str) -> None:
    with pytest.raises(ImageLoadError, match=says) as caught:
        decode_picture(text, "model_image")
    assert (caught.value.param, caught.value.code) == ("model_image", "ImageLoadError")
