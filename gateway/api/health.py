"""Probes and metrics: `/health`, `/livez`, `/readyz`, `/metrics`."""

import asyncio
import logging
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from gateway.api.error_docs import errors
from gateway.api.services import Services, find_services, services_of
from gateway.domain.errors import BackendError
from gateway.pipelines.self_test import self_test

router = APIRouter()
logger = logging.getLogger(__name__)

_PROBE_SECONDS = 2.0


class BackendHealth(BaseModel):
    """What runs the models."""

    kind: str = Field(examples=["triton"])
    ready: bool


class Versions(BaseModel):
    """What runs here."""

    triptych: str
    python: str


class SelfTestReport(BaseModel):
    """A try-on in miniature, without a model: what must hold of it, and the SHA-256 of its pixels."""

    passed: bool
    seed: int
    read_back: bool = Field(description="A picture that was written is read as it was.")
    outside_kept: bool = Field(description="Pixels outside of the mask stayed the very same.")
    inside_drawn: bool
    repeatable: bool = Field(description="Done twice, the same bytes.")
    digest: str = Field(description="The same seed and libraries give the same one.")
    seconds: float


class Health(BaseModel):
    """`ok` when a generation would be taken now."""

    status: Literal["ok", "degraded", "draining"]
    backend: BackendHealth
    models: list[str]
    uptime_seconds: float
    self_test: SelfTestReport
    versions: Versions


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether traffic should come here."""

    status: Literal["ready", "starting", "draining", "backend unavailable"]


@router.get("/health", summary="State of the gateway and its backend", tags=["operations"], responses=errors(400))
async def health(
    services: Annotated[Services, Depends(services_of)],
    seed: Annotated[int, Query(ge=0, lt=2**32, description="Of the self-test's picture.")] = 0,
) -> Health:
    """200 whatever the state: the answer tells it. Loads nothing."""
    ready = await backend_ready(services)
    tested = await asyncio.to_thread(self_test, seed)
    draining = services.admission.draining
    return Health(
        status="draining" if draining else "ok" if ready and tested.passed else "degraded",
        backend=BackendHealth(kind=services.backend_kind, ready=ready),
        models=[model.public_id for model in services.models.all()],
        uptime_seconds=round(time.monotonic() - services.started, 3),
        self_test=SelfTestReport(
            passed=tested.passed,
            seed=tested.seed,
            read_back=tested.read_back,
            outside_kept=tested.outside_kept,
            inside_drawn=tested.inside_drawn,
            repeatable=tested.repeatable,
            digest=tested.digest,
            seconds=round(tested.seconds, 4),
        ),
        versions=Versions(triptych=_own_version(), python=platform.python_version()),
    )


@router.get("/livez", summary="Liveness", tags=["operations"])
async def livez() -> Alive:
    """Answers as long as the process does."""
    return Alive()


@router.get(
    "/readyz",
    summary="Readiness",
    tags=["operations"],
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Starting, draining, or the backend is away."}},
)
async def readyz(request: Request) -> Response:
    """200 when every component of every model can take work."""
    services = find_services(request.app)
    if services is None:
        state = Readiness(status="starting")
    elif services.admission.draining:
        state = Readiness(status="draining")
    elif not await backend_ready(services):
        state = Readiness(status="backend unavailable")
    else:
        state = Readiness(status="ready")
    return JSONResponse(state.model_dump(), status_code=200 if state.status == "ready" else 503)


@router.get("/metrics", summary="Prometheus metrics", tags=["operations"], response_class=Response)
async def metrics(services: Annotated[Services, Depends(services_of)]) -> Response:
    """Prometheus' text format."""
    return Response(services.telemetry.exposition(), headers={"content-type": services.telemetry.content_type})


async def backend_ready(services: Services) -> bool:
    """Whether the backend says so, and soon."""
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            return await services.backend.ready()
    except (TimeoutError, BackendError) as error:
        logger.debug("backend is not ready: %r", error)
        return False


def _own_version() -> str:
    try:
        return version("triptych")
    except PackageNotFoundError:
        return "unknown"
