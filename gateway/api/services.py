"""What the routes work with; made by the composition root, one set an application."""

from dataclasses import dataclass
from typing import Protocol, cast

from fastapi import FastAPI, Request

from families.registry import ModelRegistry
from gateway.adapters.fetch import PictureFetcher
from gateway.api.generation_command import GenerationDefaults
from gateway.domain.backend import InferenceBackend
from gateway.domain.composing import Composes
from gateway.domain.errors import BackendUnavailable
from gateway.domain.layering import TakesApart
from gateway.domain.pictures import DrawsPictures
from gateway.domain.telemetry import Telemetry
from gateway.domain.tryon_port import TryOnRunner
from gateway.pipelines.admission import Admission
from gateway.pipelines.jobs.desk import JobDesk
from gateway.pipelines.models import ModelLibrary
from gateway.store.pictures import PictureStore
from gateway.store.sharing import PictureSharing
from gateway.store.signing import UrlSigner


class Exposition(Telemetry, Protocol):
    """Telemetry that can also be read."""

    content_type: str

    def exposition(self) -> bytes:
        """Everything measured, in `content_type`."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """`public_url` is the base of links, None for the request's own; links live `url_ttl_seconds`. `lists_jobs`:
    whether whoever reaches this server may see all jobs. `started` is `time.monotonic()`.
    """

    backend: InferenceBackend
    backend_kind: str
    models: ModelLibrary
    registry: ModelRegistry
    pipeline: DrawsPictures
    tryon: TryOnRunner
    layers: TakesApart
    composer: Composes
    fetcher: PictureFetcher
    admission: Admission
    defaults: GenerationDefaults
    pictures: PictureStore
    signer: UrlSigner
    sharing: PictureSharing
    url_ttl_seconds: int
    jobs: JobDesk
    lists_jobs: bool
    public_url: str | None
    telemetry: Exposition
    started: float


def attach_services(app: FastAPI, services: Services | None) -> None:
    """Give the application its services, or take them away."""
    app.state.services = services


def find_services(app: FastAPI) -> Services | None:
    """None before start-up and after shutdown."""
    return cast(Services | None, getattr(app.state, "services", None))


async def services_of(request: Request) -> Services:
    """As a route's dependency. Raises BackendUnavailable before start-up has ended."""
    services = find_services(request.app)
    if services is None:
        raise BackendUnavailable("the server is starting", retry_after=1)
    return services
