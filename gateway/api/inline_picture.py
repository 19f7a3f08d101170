"""Pictures that are texts: data URIs and bare base64."""

import base64
import binascii
import io
import re

from gateway.domain.edits import PictureFile
from gateway.domain.tryon_errors import ImageLoadError

_PREFIX = re.compile(r"data:(?P<media_type>[^,;]*)(?P<parameters>(?:;[^,;]*)*),", re.IGNORECASE)
_LONGEST_PREFIX = 200
_SPACE = str.maketrans("", "", " \t\r\n")


def is_inline(text: str) -> bool:
    """Whether the text holds a picture, as opposed to a link to one."""
    return text[:5].lower() == "data:" or "://" not in text[:40]


def decode_picture(text: str, field: str) -> PictureFile:
    """Raises ImageLoadError naming the field. What the bytes are is for the reader of pictures to find out."""
    coded = text
    if text[:5].lower() == "data:":
        prefix = _PREFIX.match(text[:_LONGEST_PREFIX])
        if prefix is None:
            raise _refused(field, "is no data URI: the comma before the data is missing")
        media_type = prefix["media_type"].strip().lower()
        if not (media_type in ("", "application/octet-stream") or media_type.startswith("image/")):
            raise _refused(field, f"is a data URI of {media_type[:50]!r}; allowed: image/png, image/jpeg, image/webp")
        if ";base64" not in prefix["parameters"].lower():
            raise _refused(field, "is a data URI that is not in base64")
        coded = text[prefix.end() :]
    try:
        data = base64.b64decode(_padded(coded.translate(_SPACE)).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        what = "is a data URI whose base64 is broken" if coded is not text else "is no link, no data URI and no base64"
        raise _refused(field, what) from error
    if not data:
        raise _refused(field, "is empty")
    return PictureFile(field, io.BytesIO(data))


def _padded(coded: str) -> str:
    """Some clients leave the padding away."""
    return coded + "=" * (-len(coded) % 4)


def _refused(field: str, what: str) -> ImageLoadError:
    return ImageLoadError(f"'{field}' {what}", param=field)
