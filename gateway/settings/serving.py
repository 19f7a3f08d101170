"""The server itself, its page and its log."""

from typing import Literal

from pydantic import Field

from gateway.settings.section import Section


class ServerSettings(Section):
    """Where and how the gateway listens."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; loopback unless told otherwise.")
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Base of the picture URLs handed out, e.g. https://images.example.org; default: the request's own.",
    )
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024, description="Largest request body.")
    drain_seconds: float = Field(default=30, ge=0, description="How long a shutdown waits for work under way.")


class UiSettings(Section):
    """The page."""

    enabled: bool = Field(default=True, description="Serve `/ui`, where the extra `ui` is installed.")


class LoggingSettings(Section):
    """What is logged, to standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["text", "json"] = "text"
