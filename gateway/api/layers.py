"""`POST /v1/images/layers`."""

from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from gateway.api.disconnect import run_while_connected
from gateway.api.error_docs import errors
from gateway.api.files import base_url, share_file
from gateway.api.jobs import ACCEPTED, accept_job
from gateway.api.layers_body import LayersBody, layers_body
from gateway.api.layers_command import LayersPlan, plan_layers
from gateway.api.layers_job import layers_job
from gateway.api.layers_response import LayersResponse, whole_answer
from gateway.api.layers_schema import LAYERS_BODY, LAYERS_EVENT_REFS
from gateway.api.layers_stream import LayersStream
from gateway.api.picture_sources import PictureReference, open_picture
from gateway.api.services import Services, services_of
from gateway.domain.files import FileType
from gateway.domain.layering import LayersCommand
from gateway.domain.pictures import GenerateListener

router = APIRouter()

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "The layers. With `stream`: events `image_layers.progress`, `image_layers.partial_image` and at last "
            "`image_layers.completed`, one JSON object each; a failure under way is an `error` event."
        ),
        "content": {
            "text/event-stream": {
                "schema": {"oneOf": [*LAYERS_EVENT_REFS, {"$ref": "#/components/schemas/ErrorEnvelope"}]}
            }
        },
    },
    **ACCEPTED,
    **errors(400, 404, 413, 415, 429, 500, 503, 504, 507),
}


@router.post(
    "/v1/images/layers",
    response_model=LayersResponse,
    summary="A picture taken apart into RGBA layers",
    tags=["layers"],
    responses=_RESPONSES,
    openapi_extra=LAYERS_BODY,
)
async def take_apart(
    request: Request,
    given: Annotated[LayersBody, Depends(layers_body)],
    services: Annotated[Services, Depends(services_of)],
) -> Response:
    """Layers from the bottom to the top, each as large as the picture. Laid over one another they show the picture, and
    what is opaque and not covered has the picture's own pixels.
    """
    plan = plan_layers(given, services.models, services.defaults)

    async def keep(data: bytes, file_type: FileType) -> str:
        return await share_file(services, request, data, file_type)

    async def run(listener: GenerateListener | None) -> LayersResponse:
        with ExitStack() as stack:
            command = await _command(plan, services, stack)
            result = await services.layers.run(command, listener)
        return await whole_answer(result, command, None if plan.inline else keep)

    async def queue() -> Response:
        with ExitStack() as stack:
            command = await _command(plan, services, stack)
            return await accept_job(request, services, layers_job(command, base_url(services, request)))

    if plan.body.stream:
        return LayersStream(run, plan.wish.format)
    if plan.body.run_async:
        return await run_while_connected(request.receive, queue())
    answer = await run_while_connected(request.receive, run(None))
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")


async def _command(plan: LayersPlan, services: Services, stack: ExitStack) -> LayersCommand:
    """With its picture open, until `stack` is closed. Raises ImageLoadError."""
    source = plan.source
    if isinstance(source, PictureReference):
        return LayersCommand(await open_picture(source, services.fetcher, stack), plan.wish)
    return LayersCommand(source, plan.wish)
