"""`POST /v1/images/layers/compose`."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from gateway.api.disconnect import run_while_connected
from gateway.api.error_docs import errors
from gateway.api.files import share_file
from gateway.api.given_body import read_body
from gateway.api.layers_compose_command import ComposeBody, ComposePlan, plan_compose
from gateway.api.layers_compose_request import LayersComposeRequest
from gateway.api.layers_compose_response import ComposeResponse, composed_answer
from gateway.api.layers_compose_schema import COMPOSE_BODY
from gateway.api.picture_sources import open_picture
from gateway.api.services import Services, services_of
from gateway.api.upload import FormRules
from gateway.domain.composing import MOST_LAYERS
from gateway.domain.files import FileType
from gateway.pipelines.together import together

router = APIRouter()

_FORM = FormRules(
    files=None,
    lists=frozenset({"order"}),
    # Data URIs; files are the better way in a form.
    longest_text=4 * 1024 * 1024,
    links=True,
    most_files=MOST_LAYERS,
)


async def compose_body(request: Request) -> AsyncIterator[ComposeBody]:
    """As a route's dependency: files are gone once the answer has been sent.

    Raises InvalidRequest, UnsupportedMediaType, ClientGone.
    """
    async with read_body(request, LayersComposeRequest, _FORM) as given:
        yield given


@router.post(
    "/v1/images/layers/compose",
    response_model=ComposeResponse,
    summary="Layers put together into one picture",
    tags=["layers"],
    responses=errors(400, 413, 415, 429, 500, 503),
    openapi_extra=COMPOSE_BODY,
)
async def compose_layers(
    request: Request,
    given: Annotated[ComposeBody, Depends(compose_body)],
    services: Annotated[Services, Depends(services_of)],
) -> Response:
    """The same layers give the same picture, byte for byte; no model takes part."""
    plan = plan_compose(given)
    answer = await run_while_connected(request.receive, _composed(request, services, plan))
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")


async def _composed(request: Request, services: Services, plan: ComposePlan) -> ComposeResponse:
    async def keep(data: bytes, file_type: FileType) -> str:
        return await share_file(services, request, data, file_type)

    with ExitStack() as stack:
        files = await together(*(open_picture(each, services.fetcher, stack) for each in plan.pictures))
        command = plan.command(files)
        result = await services.composer.run(command)
    return await composed_answer(result, command, None if plan.inline else keep)
