"""What an answer of the hub that is no success means, and what helps."""

import httpx

from triptych.download.errors import RemoteError

_SERVER_ERROR = 500
_BUSY = (408, 425, 429)


def explain(response: httpx.Response, what: str, *, token_sent: bool) -> RemoteError:
    """The error for this answer. `what` is what was asked for; the URL is left out, as a CDN's carries a signature."""
    status = response.status_code
    code = response.headers.get("x-error-code", "")
    if status in _BUSY or status >= _SERVER_ERROR:
        return RemoteError(f"{what}: the hub is busy or broken ({status})", temporary=True, retry_after=_wait(response))
    message = {
        "GatedRepo": "access is granted on request: accept the terms on the model's page, as the account of your token",
        "RevisionNotFound": "there is no such branch, tag or commit",
        "EntryNotFound": "there is no such file",
    }.get(code)
    if message is None:
        message = _by_status(status, token_sent=token_sent)
    if code == "GatedRepo" and not token_sent:
        message += ", and put that token into HF_TOKEN (or name another variable with --token-env)"
    return RemoteError(f"{what}: {message} ({status})")


def _by_status(status: int, *, token_sent: bool) -> str:
    match status:
        # The hub answers 401 for repositories that do not exist, so as not to tell which private ones do.
        case 401 if token_sent:
            return "the token is not valid, or there is no such repository"
        case 401:
            return "there is no such repository, or it needs a token in HF_TOKEN (or --token-env)"
        case 403:
            return "the token does not give access; accept the model's terms on its page, or check the token's scope"
        case 404:
            return "not found"
        case 416:
            return "the file is shorter than announced"
        case _:
            return "the hub refuses"


def _wait(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None
