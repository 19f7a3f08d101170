"""The body of a try-on request: JSON, or a form with files."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from fastapi import Request

from gateway.api.given_body import GivenBody, read_body
from gateway.api.tryon_problems import told_as_tryon
from gateway.api.tryon_request import TryOnRequest
from gateway.api.upload import FormRules

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

TryOnBody = GivenBody[TryOnRequest]


async def tryon_body(request: Request) -> AsyncIterator[TryOnBody]:
    """As a route's dependency: files are gone once the answer has been sent.

    Raises InputValidationError, UnsupportedMediaType, ClientGone.
    """
    async with AsyncExitStack() as stack:
        with told_as_tryon():
            given = await stack.enter_async_context(read_body(request, TryOnRequest, _FORM))
        yield given
