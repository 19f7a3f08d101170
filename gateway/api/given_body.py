"""Bodies that come as JSON or as a form with files, read into one request."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import PydanticCustomError
from starlette.requests import ClientDisconnect

from gateway.api.errors import is_json
from gateway.api.problems import StrictBody, invalid_request
from gateway.api.upload import FormRules, is_form, read_form
from gateway.domain.edits import PictureFile
from gateway.domain.errors import ClientGone, InvalidRequest, UnsupportedMediaType

Fields = TypeVar("Fields", bound=StrictBody)


@dataclass(frozen=True, slots=True)
class GivenBody(Generic[Fields]):
    """The fields, and the files that came with them by field."""

    fields: Fields
    files: Mapping[str, Sequence[PictureFile]]


@asynccontextmanager
async def read_body(request: Request, kind: type[Fields], rules: FormRules) -> AsyncIterator[GivenBody[Fields]]:
    """Its files are gone when the block ends. Raises InvalidRequest, UnsupportedMediaType, ClientGone."""
    content_type = request.headers.get("content-type", "")
    if is_form(content_type):
        async with read_form(request, rules) as upload:
            yield GivenBody(upload.read(kind), upload.files)
    elif is_json(content_type):
        yield GivenBody(await _from_json(request, kind), {})
    else:
        got = f"content type {content_type[:100]!r}" if content_type else "no content type"
        raise UnsupportedMediaType(f"{got}: send the body as application/json or multipart/form-data")


def json_object(value: Any) -> Any:
    """A form's text as the JSON that it must be; for the validators of fields that are objects."""
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        parsed = value
    if parsed is None or isinstance(parsed, dict):
        return parsed
    raise PydanticCustomError("invalid_value", "must be a JSON object")


async def _from_json(request: Request, kind: type[Fields]) -> Fields:
    try:
        raw = await request.body()
    except ClientDisconnect as error:
        raise ClientGone("the client closed the connection while it sent the body") from error
    # Pictures make it long.
    return await asyncio.to_thread(_parse, raw, kind)


def _parse(raw: bytes, kind: type[Fields]) -> Fields:
    try:
        fields = json.loads(raw, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not valid JSON in UTF-8: {error}", code="invalid_json") from error
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        located = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise invalid_request(RequestValidationError(located)) from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON's readers keep the last of two values in silence."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)[:100]
        raise InvalidRequest(f"two {twice} values: '{twice}' is given more than once", param=twice)
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
