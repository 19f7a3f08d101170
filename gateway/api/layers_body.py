"""The body of a request for layers: JSON, or a form with a file."""

from collections.abc import AsyncIterator

from fastapi import Request

from gateway.api.given_body import GivenBody, read_body
from gateway.api.layers_request import ImageLayersRequest
from gateway.api.upload import FormRules

_FORM = FormRules(
    files=frozenset({"image"}),
    lists=frozenset({"decompose"}),
    # A data URI; a file is the better way in a form.
    longest_text=4 * 1024 * 1024,
    links=True,
)

LayersBody = GivenBody[ImageLayersRequest]


async def layers_body(request: Request) -> AsyncIterator[LayersBody]:
    """As a route's dependency: the file is gone once the answer has been sent.

    Raises InvalidRequest, UnsupportedMediaType, ClientGone.
    """
    async with read_body(request, ImageLayersRequest, _FORM) as given:
        yield given
