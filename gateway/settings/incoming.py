"""Pictures that come in."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from gateway.settings.section import Section

_HOST = r"^(\[[0-9A-Fa-f:.]+\]|[^\s/@:\[\]]+)(:[0-9]{1,5})?$"


class UploadSettings(Section):
    """Pictures that come in."""

    max_body_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="Largest request body where files come in, all of them together."
    )
    max_pixels: int = Field(
        default=50_000_000,
        ge=1,
        description="Largest picture, by its header; one takes up to 12 bytes a pixel of memory while it is read.",
    )


class FetchSettings(Section):
    """Pictures that come in as http(s) links."""

    enabled: bool = Field(default=True, description="Off: links are refused, and nothing leaves this machine.")
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        default=(80, 443), min_length=1, description="Ports that links may lead to."
    )
    trusted_hosts: tuple[Annotated[str, Field(pattern=_HOST)], ...] = Field(
        default=(),
        description="Hosts that may have private addresses, such as a CDN of one's own: `host`, or `host:port` for a "
        "port that is not allowed otherwise.",
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file of certificate authorities that are trusted beside the public ones."
    )
    max_bytes: int = Field(default=20 * 1024 * 1024, ge=1, description="Largest file that is fetched.")
    max_redirects: int = Field(default=3, ge=0, description="Redirects of one link; each is checked like the link.")
    timeout_seconds: float = Field(
        default=10, gt=0, description="Of one link, from the look-up of its name to the last byte."
    )
