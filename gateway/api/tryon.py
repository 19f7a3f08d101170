"""`POST /v1/tryon-fast` and `POST /v1/tryon-premium`."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from gateway.api.disconnect import run_while_connected
from gateway.api.error_docs import errors
from gateway.api.files import base_url, share_file
from gateway.api.generation_command import first_seed_of
from gateway.api.jobs import ACCEPTED, accept_job
from gateway.api.services import Services, services_of
from gateway.api.tryon_body import TryOnBody, tryon_body
from gateway.api.tryon_command import TryOnPlan, plan_tryon
from gateway.api.tryon_job import tryon_job
from gateway.api.tryon_pictures import opened
from gateway.api.tryon_problems import told_as_tryon
from gateway.api.tryon_response import TRYON_EVENTS, TryOnResponse, whole_answer
from gateway.api.tryon_schema import TRYON_BODY
from gateway.api.tryon_stream import TryOnStream
from gateway.domain.files import FileType
from gateway.domain.tryon import TryOnListener, TryOnMode

router = APIRouter()

_EVENTS = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in TRYON_EVENTS]
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "The pictures. With `stream`: events `tryon.stage`, `tryon.progress`, `tryon.partial_image` and at last "
            "`tryon.completed`, one JSON object each; a failure under way is an `error` event."
        ),
        "content": {
            "text/event-stream": {"schema": {"oneOf": [*_EVENTS, {"$ref": "#/components/schemas/ErrorEnvelope"}]}}
        },
    },
    **ACCEPTED,
    **errors(400, 404, 413, 415, 429, 500, 503, 504, 507),
}


@router.post(
    "/v1/tryon-fast",
    response_model=TryOnResponse,
    summary="A person in another garment, quickly",
    tags=["try-on"],
    responses=_RESPONSES,
    openapi_extra=TRYON_BODY,
)
async def tryon_fast(
    request: Request,
    given: Annotated[TryOnBody, Depends(tryon_body)],
    services: Annotated[Services, Depends(services_of)],
) -> Response:
    """One drawing a sample, in few steps. Outside of the mask the person's picture stays exactly as it was."""
    return await _answer(request, services, plan_tryon(given, TryOnMode.FAST))


@router.post(
    "/v1/tryon-premium",
    response_model=TryOnResponse,
    summary="A person in another garment, the best of several drawings",
    tags=["try-on"],
    responses=_RESPONSES,
    openapi_extra=TRYON_BODY,
)
async def tryon_premium(
    request: Request,
    given: Annotated[TryOnBody, Depends(tryon_body)],
    services: Annotated[Services, Depends(services_of)],
) -> Response:
    """Several drawings in more steps, judged; the best come back, with the scores of all."""
    return await _answer(request, services, plan_tryon(given, TryOnMode.PREMIUM))


async def _answer(request: Request, services: Services, plan: TryOnPlan) -> Response:
    """Hanging up ends the work, fetching included."""
    seed = first_seed_of(plan.body.seed, services.defaults.seed)

    async def keep(data: bytes, file_type: FileType) -> str:
        return await share_file(services, request, data, file_type)

    async def run(listener: TryOnListener | None) -> TryOnResponse:
        async with opened(plan.pictures, services.fetcher) as files:
            with told_as_tryon():
                result = await services.tryon.run(plan.command(files, seed), listener)
        return await whole_answer(result, plan.mode, plan.encoding.format, plan.showing, keep)

    async def queue() -> Response:
        async with opened(plan.pictures, services.fetcher) as files:
            job = tryon_job(plan.command(files, seed), plan.showing, base_url(services, request))
            return await accept_job(request, services, job)

    if plan.body.stream:
        return TryOnStream(run, plan.encoding.format)
    if plan.body.run_async:
        return await run_while_connected(request.receive, queue())
    answer = await run_while_connected(request.receive, run(None))
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")
