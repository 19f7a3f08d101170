"""Probes and metrics: `/health`, `/livez`, `/readyz`, `/metrics`."""

import asyncio
import logging
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from gateway.api.services import Services, find_services, services_of
from gateway.domain.errors import BackendError

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


class Health(BaseModel):
    """`ok` when a generation would be taken now."""

    status: Literal["ok", "degraded", "draining"]
    backend: BackendHealth
    models: list[str]
    uptime_seconds: float
    versions: Versions


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether traffic should come here."""

    status: Literal["ready", "starting", "draining", "backend unavailable"]


@router.get("/health", summary="State of the gateway and its backend", tags=["operations"])
async def health(services: Annotated[Services, Depends(services_of)]) -> Health:
    """Always 200: the answer tells the state. Loads nothing."""
    ready = await _backend_ready(services)
    draining = services.admission.draining
    return Health(
        status="draining" if draining else "ok" if ready else "degraded",
        backend=BackendHealth(kind=services.backend_kind, ready=ready),
        models=[model.public_id for model in services.models.all()],
        uptime_seconds=round(time.monotonic() - services.started, 3),
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
    elif not await _backend_ready(services):
        state = Readiness(status="backend unavailable")
    else:
        state = Readiness(status="ready")
    return JSONResponse(state.model_dump(), status_code=200 if state.status == "ready" else 503)


@router.get("/metrics", summary="Prometheus metrics", tags=["operations"], response_class=Response)
async def metrics(services: Annotated[Services, Depends(services_of)]) -> Response:
    """Prometheus' text format."""
    return Response(services.telemetry.exposition(), headers={"content-type": services.telemetry.content_type})


async def _backend_ready(services: Services) -> bool:
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
