"""The error answers of a route, for its OpenAPI description."""

from typing import Any

from gateway.api.errors import ErrorEnvelope

_MEANINGS = {
    400: "A field does not fit; `param` names it.",
    403: "The link is not signed by this server, or jobs are not listed.",
    404: "No such model, image or job.",
    410: "The link, or the result of the job, has expired.",
    413: "The body is too large.",
    415: "The body's content type is not the one that the route takes.",
    429: "Too much work is waiting; `Retry-After` says when to come back.",
    500: "A defect; the message carries the request id.",
    503: "The backend or a store is away, or the server is shutting down; `Retry-After` says when to come back.",
    504: "It took too long and was stopped.",
    507: "The model, or the request, needs more memory than there is.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`. The default one also stands in for the framework's own 422, which never goes out."""
    known: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorEnvelope, "description": _MEANINGS[status]} for status in statuses
    }
    return {**known, "default": {"model": ErrorEnvelope, "description": "Any other error."}}
