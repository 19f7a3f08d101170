"""The id of the request at hand: taken from the caller or made here, in every log line and answer."""

import re
import secrets
from contextvars import ContextVar

HEADER = "x-request-id"

_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_current: ContextVar[str] = ContextVar("request_id", default="-")


def current_request_id() -> str:
    """The id, or `-` outside of a request."""
    return _current.get()


def adopt_request_id(offered: str | None) -> str:
    """Use the caller's id where it is harmless in logs and headers, else a new one; from now on it is current."""
    request_id = offered if offered and _ACCEPTED.fullmatch(offered) else f"req_{secrets.token_hex(12)}"
    _current.set(request_id)
    return request_id
