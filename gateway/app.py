"""Composition root: the one place where settings become objects and objects meet."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from families.catalog import discover
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.api import errors, files, health, images, models
from gateway.api.event_schemas import describe_events
from gateway.api.generation_command import GenerationDefaults
from gateway.api.middleware.body_limit import BodyLimitMiddleware
from gateway.api.middleware.request_context import RequestContextMiddleware
from gateway.api.services import Services, attach_services, find_services
from gateway.domain.backend import InferenceBackend
from gateway.domain.errors import ModelNotFound
from gateway.pipelines.admission import Admission
from gateway.pipelines.embedding_cache import EmbeddingCache
from gateway.pipelines.generate import GeneratePipeline
from gateway.pipelines.imaging import PictureEncoder
from gateway.pipelines.models import ModelLibrary
from gateway.settings import Settings, SettingsError
from gateway.store.pictures import PictureStore
from gateway.store.signing import UrlSigner, load_or_create_secret

logger = logging.getLogger(__name__)

_SECRET_FILE = "url_secret"  # noqa: S105 - a file's name
_SWEEP_SECONDS = 300
_SWEEP_MARGIN = 60
"""Seconds that a picture outlives its link: links are signed a moment after the picture is stored."""


def create_app(settings: Settings, backend: InferenceBackend) -> FastAPI:
    """The application. Its lifespan owns everything it opens, and closes the backend too.

    Reads the model folders at once: raises ManifestError or SettingsError for what cannot be served.
    """
    library = _library(settings)
    telemetry = PrometheusTelemetry()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _running(settings, backend, library, telemetry) as services:
            attach_services(app, services)
            logger.info("serving %s", ", ".join(model.public_id for model in services.models.all()) or "no models")
            yield
            begin_drain(app)
            if not await services.admission.wait_idle(settings.server.drain_seconds):
                logger.warning("shutting down with work under way: it outlasted server.drain_seconds")
            attach_services(app, None)

    # No /docs: the framework's page loads scripts from the internet. /openapi.json is complete.
    app = FastAPI(
        title="Triptych",
        description="Image generation behind OpenAI-compatible routes.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    errors.install(app)
    for module in (images, files, models, health):
        app.include_router(module.router)
    describe_events(app)
    app.add_middleware(BodyLimitMiddleware, max_body_bytes=settings.server.max_body_bytes)
    app.add_middleware(RequestContextMiddleware, telemetry=telemetry)
    return app


def begin_drain(app: FastAPI) -> None:
    """From now on new generations and /readyz are answered 503, and those under way go on."""
    services = find_services(app)
    if services is not None:
        services.admission.begin_drain()


@asynccontextmanager
async def _running(
    settings: Settings, backend: InferenceBackend, library: ModelLibrary, telemetry: PrometheusTelemetry
) -> AsyncIterator[Services]:
    generation = settings.generation
    admission = Admission(generation.max_concurrent, generation.max_queued, telemetry)
    embeddings = EmbeddingCache(backend, generation.embedding_cache_bytes, telemetry)
    encoder = PictureEncoder()
    pictures = PictureStore(settings.images_directory)
    pipeline = GeneratePipeline(
        backend=backend,
        models=library,
        embeddings=embeddings,
        encoder=encoder,
        admission=admission,
        telemetry=telemetry,
        timeout_seconds=generation.request_timeout,
    )
    sweeper = asyncio.create_task(_sweep(pictures, settings.storage.url_ttl_seconds + _SWEEP_MARGIN))
    try:
        yield Services(
            backend=backend,
            backend_kind=settings.backend.kind,
            models=library,
            pipeline=pipeline,
            admission=admission,
            defaults=GenerationDefaults(
                generation.default_steps,
                generation.default_guidance_scale,
                generation.default_scheduler,
                generation.embed_parameters,
            ),
            pictures=pictures,
            signer=UrlSigner(_secret(settings), settings.storage.url_ttl_seconds),
            public_url=settings.server.public_url,
            telemetry=telemetry,
            started=time.monotonic(),
        )
    finally:
        sweeper.cancel()
        await asyncio.gather(sweeper, return_exceptions=True)
        await embeddings.close()
        encoder.close()
        await backend.close()


def _library(settings: Settings) -> ModelLibrary:
    try:
        return ModelLibrary(discover(settings.models.directories), settings.models.default_model)
    except ModelNotFound as error:
        raise SettingsError(f"setting models.default_model: {error.message}") from error


def _secret(settings: Settings) -> bytes:
    configured = settings.storage.url_secret
    if configured is not None:
        return configured.get_secret_value().encode()
    return load_or_create_secret(settings.runtime_directory / _SECRET_FILE)


async def _sweep(pictures: PictureStore, lifetime_seconds: int) -> None:
    """Delete pictures that no link reaches any more, now and every few minutes."""
    while True:
        try:
            deleted = await pictures.sweep(lifetime_seconds)
            logger.debug("deleted %d expired pictures", deleted)
        except OSError:
            logger.exception("expired pictures could not be deleted; trying again later")
        await asyncio.sleep(_SWEEP_SECONDS)
