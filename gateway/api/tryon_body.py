"""The body of a try-on request: JSON, or a form with files."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, NoReturn

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from gateway.api.errors import is_json
from gateway.api.problems import invalid_request
from gateway.api.tryon_problems import told_as_tryon
from gateway.api.tryon_request import TryOnRequest
from gateway.api.upload import FormRules, is_form, read_form
from gateway.domain.edits import PictureFile
from gateway.domain.errors import ClientGone, InvalidRequest, UnsupportedMediaType

PICTURE_FIELDS = (
    "model_image",
    "garment_image",
    "mask",
    "human_image",
    "cloth_image",
    "personImage",
    "productImages",
    "sourceImage",
    "referenceImage",
    "maskImage",
)
_FORM = FormRules(
    files=frozenset(PICTURE_FIELDS),
    lists=frozenset({"garment_image", "productImages", "category", "preserve"}),
    # Data URIs; files are the better way in a form.
    longest_text=4 * 1024 * 1024,
    links=True,
)


@dataclass(frozen=True, slots=True)
class TryOnBody:
    """The fields, and the files that came with them by field."""

    fields: TryOnRequest
    files: Mapping[str, Sequence[PictureFile]]


async def tryon_body(request: Request) -> AsyncIterator[TryOnBody]:
    """As a route's dependency: files are gone once the answer has been sent.

    Raises InputValidationError, UnsupportedMediaType, ClientGone.
    """
    content_type = request.headers.get("content-type", "")
    if is_form(content_type):
        async with AsyncExitStack() as stack:
            with told_as_tryon():
                upload = await stack.enter_async_context(read_form(request, _FORM))
                body = TryOnBody(upload.read(TryOnRequest), upload.files)
            yield body
    elif is_json(content_type):
        yield TryOnBody(await _from_json(request), {})
    else:
        got = f"content type {content_type[:100]!r}" if content_type else "no content type"
        raise UnsupportedMediaType(f"{got}: send the body as application/json or multipart/form-data")


async def _from_json(request: Request) -> TryOnRequest:
    try:
        raw = await request.body()
    except ClientDisconnect as error:
        raise ClientGone("the client closed the connection while it sent the body") from error
    with told_as_tryon():
        # Pictures make it long.
        return await asyncio.to_thread(_parse, raw)


def _parse(raw: bytes) -> TryOnRequest:
    try:
        fields = json.loads(raw, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body is not valid JSON in UTF-8: {error}", code="invalid_json") from error
    try:
        return TryOnRequest.model_validate(fields)
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
