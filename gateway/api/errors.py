"""Every error as OpenAI's envelope: `{"error": {"message", "type", "code", "param"}}`."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.api.problems import invalid_request
from gateway.api.request_id import current_request_id
from gateway.domain.errors import (
    BodyTooLarge,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    RouteNotFound,
    Unexpected,
    UnsupportedMediaType,
)

logger = logging.getLogger(__name__)


class ErrorBody(BaseModel):
    """What went wrong."""

    message: str = Field(description="One sentence; names the field and what is allowed.")
    type: str = Field(description="Kind of error, as OpenAI spells it.", examples=["invalid_request_error"])
    code: str | None = Field(description="Stable, for programs.", examples=["invalid_value"])
    param: str | None = Field(description="The field at fault.", examples=["size"])


class ErrorEnvelope(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorBody


def envelope(error: GatewayError) -> ErrorEnvelope:
    """What the caller may read. Defects show their request id and nothing of the inside."""
    message = error.message
    if not error.public:
        message = f"the server failed on this request (request id {current_request_id()})"
    return ErrorEnvelope(error=ErrorBody(message=message, type=error.error_type, code=error.code, param=error.param))


def error_response(error: GatewayError) -> Response:
    """The answer for this error; logs what only operators may read."""
    log_hidden(error)
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    return Response(
        envelope(error).model_dump_json(), status_code=error.status, headers=headers, media_type="application/json"
    )


def log_hidden(error: GatewayError) -> None:
    """Log an error whose message the caller does not see."""
    if not error.public:
        logger.error("%s: %s", type(error).__name__, error.message, exc_info=error)


def unexpected(cause: Exception) -> Unexpected:
    """An exception that nobody foresaw, as an error that shows nothing."""
    error = Unexpected(repr(cause))
    error.__cause__ = cause
    return error


def install(app: FastAPI) -> None:
    """Register the handlers. What none of them takes ends in the request context middleware."""

    @app.exception_handler(GatewayError)
    async def on_gateway_error(_: Request, error: GatewayError) -> Response:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def on_validation_error(request: Request, error: RequestValidationError) -> Response:
        content_type = request.headers.get("content-type", "")
        if request.method == "POST" and not is_json(content_type):
            got = f"content type {content_type[:100]!r}" if content_type else "no content type"
            return error_response(UnsupportedMediaType(f"{got}: send the body as application/json"))
        return error_response(invalid_request(error))

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        answer = error_response(_from_http(error, request))
        answer.headers.update(error.headers or {})
        return answer


def _from_http(error: HTTPException, request: Request) -> GatewayError:
    """Errors that the framework raises itself."""
    place = f"{request.method} {request.url.path[:200]}"
    match error.status_code:
        case 404:
            return RouteNotFound(f"there is no route {place}; /openapi.json lists them all")
        case 405:
            allowed = (error.headers or {}).get("Allow", "another method")
            return MethodNotAllowed(f"{place} is not allowed here; allowed: {allowed}")
        case 413:
            return BodyTooLarge(error.detail)
        case 400:
            return InvalidRequest("the body is not valid JSON in UTF-8", code="invalid_json")
        case _:
            return unexpected(error)


def is_json(content_type: str) -> bool:
    """Whether a body of this content type is JSON."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
