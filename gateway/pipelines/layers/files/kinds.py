"""What kinds of files there are."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.layers import LayersFormat


@dataclass(frozen=True, slots=True)
class FileKind:
    """`extension` without a dot."""

    media_type: str
    extension: str


_KINDS: Mapping[LayersFormat, FileKind] = {
    LayersFormat.ZIP: FileKind("application/zip", "zip"),
    LayersFormat.PSD: FileKind("image/vnd.adobe.photoshop", "psd"),
    LayersFormat.ORA: FileKind("image/openraster", "ora"),
    LayersFormat.PPTX: FileKind("application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"),
    LayersFormat.WEBP_ANIMATION: FileKind("image/webp", "webp"),
}


def file_kind(file_format: LayersFormat) -> FileKind:
    """Raises KeyError for `list`, which is no file."""
    return _KINDS[file_format]
