"""Bodies of `multipart/form-data`: files to picture files, texts to a request's fields."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from gateway.api.problems import StrictBody, invalid_request
from gateway.domain.edits import PictureFile
from gateway.domain.errors import ClientGone, InvalidRequest, UnsupportedMediaType

_MOST_FILES = 20
_MOST_FIELDS = 100

_Body = TypeVar("_Body", bound=StrictBody)


@dataclass(frozen=True, slots=True)
class FormRules:
    """Which fields of a form are files, which are lists (each may be both), and how long a text may be, in bytes.

    `files` None: any field may be one. `links`: a file's field may hold a text instead.
    """

    files: frozenset[str] | None
    lists: frozenset[str]
    longest_text: int
    links: bool
    most_files: int = _MOST_FILES


_EDITS = FormRules(
    files=frozenset({"image", "mask"}),
    lists=frozenset({"guidance_interval"}),
    # The longest prompt is half of it.
    longest_text=256 * 1024,
    links=False,
)


@dataclass(frozen=True, slots=True)
class Upload:
    """A form's parts by name, without the `[]` that clients put behind names of lists."""

    texts: Mapping[str, str | list[str]]
    files: Mapping[str, tuple[PictureFile, ...]]

    def read(self, request: type[_Body]) -> _Body:
        """The texts as this request. Raises InvalidRequest naming the field."""
        try:
            # Numbers and truths are texts here.
            return request.model_validate(self.texts, strict=False)
        except ValidationError as error:
            located = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
            raise invalid_request(RequestValidationError(located)) from error

    def image(self) -> PictureFile:
        """The only `image`. Raises InvalidRequest."""
        images = self.images()
        if len(images) > 1:
            raise InvalidRequest(f"'image' has {len(images)} pictures; allowed: one", param="image")
        return images[0]

    def images(self) -> tuple[PictureFile, ...]:
        """At least one. Raises InvalidRequest."""
        images = self.files.get("image", ())
        if not images:
            raise InvalidRequest("'image' is required: a file", code="missing_required_parameter", param="image")
        return images

    def mask(self) -> PictureFile | None:
        """Raises InvalidRequest for several."""
        masks = self.files.get("mask", ())
        if len(masks) > 1:
            raise InvalidRequest("'mask' is given more than once", param="mask")
        return masks[0] if masks else None


async def uploaded(request: Request) -> AsyncIterator[Upload]:
    """As a route's dependency: files go to disk beyond a megabyte and are gone once the answer has been sent.

    Raises UnsupportedMediaType, InvalidRequest, ClientGone.
    """
    content_type = request.headers.get("content-type", "")
    if not is_form(content_type):
        got = f"content type {content_type[:100]!r}" if content_type else "no content type"
        raise UnsupportedMediaType(f"{got}: send the body as multipart/form-data")
    async with read_form(request, _EDITS) as upload:
        yield upload


def is_form(content_type: str) -> bool:
    """Whether the body is one that `read_form` reads."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


@asynccontextmanager
async def read_form(request: Request, rules: FormRules) -> AsyncIterator[Upload]:
    """Its files are gone when the block ends. Raises InvalidRequest, ClientGone."""
    try:
        form = await request.form(max_files=rules.most_files, max_fields=_MOST_FIELDS, max_part_size=rules.longest_text)
    except ClientDisconnect as error:
        raise ClientGone("the client closed the connection while it sent the body") from error
    except HTTPException as error:
        if error.status_code != 400:
            raise
        raise InvalidRequest(f"the body is no valid form: {error.detail}", code="invalid_form") from error
    try:
        yield _sorted(form, rules)
    finally:
        await form.close()


def _sorted(form: FormData, rules: FormRules) -> Upload:
    texts: dict[str, str | list[str]] = {}
    files: dict[str, list[PictureFile]] = {}
    for key, value in form.multi_items():
        name = key.removesuffix("[]")
        if isinstance(value, UploadFile):
            files.setdefault(name, []).append(_file(name, value, rules))
        elif name in (rules.files or ()) and not rules.links:
            raise InvalidRequest(f"'{name}' must be a file, with a file name; links are not fetched", param=name)
        # Clients write null as nothing.
        elif value:
            _add(texts, name, value, rules)
    return Upload(texts, {name: tuple(parts) for name, parts in files.items()})


def _file(name: str, upload: UploadFile, rules: FormRules) -> PictureFile:
    if rules.files is not None and name not in rules.files:
        raise InvalidRequest(f"unknown file '{name[:100]}'", code="unknown_parameter", param=name[:100])
    if not upload.size:
        raise InvalidRequest(f"'{name}' is an empty file", param=name)
    return PictureFile(name, upload.file)


def _add(texts: dict[str, str | list[str]], name: str, value: str, rules: FormRules) -> None:
    known = texts.get(name)
    if name in rules.lists:
        texts[name] = [*known, value] if isinstance(known, list) else [value]
    elif known is not None:
        raise InvalidRequest(f"'{name[:100]}' is given more than once", param=name[:100])
    else:
        texts[name] = value
