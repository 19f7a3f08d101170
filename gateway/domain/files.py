"""Files that are handed out by link."""

from enum import StrEnum


class FileType(StrEnum):
    """The value is how a file's name ends."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    ZIP = "zip"
    PSD = "psd"
    ORA = "ora"
    PPTX = "pptx"

    @property
    def media_type(self) -> str:
        """As in Content-Type."""
        return _MEDIA_TYPES.get(self) or f"image/{self.value}"

    @property
    def shown(self) -> bool:
        """Whether browsers show it; everything else they are told to store."""
        return self not in _MEDIA_TYPES


_MEDIA_TYPES = {
    FileType.ZIP: "application/zip",
    FileType.PSD: "image/vnd.adobe.photoshop",
    FileType.ORA: "image/openraster",
    FileType.PPTX: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
