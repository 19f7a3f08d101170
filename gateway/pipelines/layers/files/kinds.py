"""What kinds of files there are."""

from collections.abc import Mapping

from gateway.domain.files import FileType
from gateway.domain.layers import LayersFormat

_TYPES: Mapping[LayersFormat, FileType] = {
    LayersFormat.ZIP: FileType.ZIP,
    LayersFormat.PSD: FileType.PSD,
    LayersFormat.ORA: FileType.ORA,
    LayersFormat.PPTX: FileType.PPTX,
    LayersFormat.WEBP_ANIMATION: FileType.WEBP,
}


def file_type(file_format: LayersFormat) -> FileType:
    """Raises KeyError for `list`, which is no file."""
    return _TYPES[file_format]
