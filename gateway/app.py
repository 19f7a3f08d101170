"""Composition root: the one place where settings become objects and objects meet."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import SecretStr

from families.catalog import ModelSource
from families.registry import ModelRegistry
from families.vision.source import VisionSource
from gateway.adapters.fetch import PictureFetcher
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.adapters.registry import find_models, find_vision, open_registry
from gateway.api import edits, errors, files, health, images, jobs, layers, layers_compose, models, registry, tryon
from gateway.api.event_schemas import describe_events
from gateway.api.generation_command import GenerationDefaults
from gateway.api.generation_job import EDIT, GENERATION, GenerationJobs
from gateway.api.layers_job import LayersJobs
from gateway.api.middleware.body_limit import BodyLimitMiddleware
from gateway.api.middleware.request_context import RequestContextMiddleware
from gateway.api.services import Services, attach_services, find_services
from gateway.api.tryon_job import TryOnJobs
from gateway.domain.backend import InferenceBackend
from gateway.domain.errors import ModelNotFound
from gateway.domain.residency import TellsResidency
from gateway.domain.tryon import TryOnMode
from gateway.pipelines.admission import Admission
from gateway.pipelines.embedding_cache import EmbeddingCache
from gateway.pipelines.generate import GeneratePipeline
from gateway.pipelines.imaging import PictureEncoder
from gateway.pipelines.incoming import PictureReader
from gateway.pipelines.jobs.handler import JobHandler
from gateway.pipelines.jobs.limits import JobLimits
from gateway.pipelines.jobs.opening import Stores, open_jobs
from gateway.pipelines.layers.composer import Composer
from gateway.pipelines.layers.draw import LayersDraw
from gateway.pipelines.layers.pipeline import LayersPipeline
from gateway.pipelines.models import ModelLibrary
from gateway.pipelines.tryon.edits import TryOnEdits
from gateway.pipelines.tryon.opening import open_try_on
from gateway.settings import Settings, SettingsError
from gateway.store.database import Database, DatabaseUrlError, database_url
from gateway.store.objects import Bucket, ObjectStore
from gateway.store.pictures import PictureStore
from gateway.store.sharing import PictureSharing
from gateway.store.signing import UrlSigner, load_or_create_secret
from gateway.ui import icon, page

logger = logging.getLogger(__name__)

_SECRET_FILE = "url_secret"  # noqa: S105 - a file's name
_PAGE_FOLDER = "page"
_DATABASE_FILE = "triptych.db"


@dataclass(frozen=True, slots=True)
class _Made:
    """What is there before the application starts, and closed when it ends."""

    backend: InferenceBackend
    library: ModelLibrary
    vision: Mapping[str, VisionSource]
    registry: ModelRegistry
    fetcher: PictureFetcher
    telemetry: PrometheusTelemetry


def create_app(
    settings: Settings,
    backend: InferenceBackend,
    sources: Mapping[str, ModelSource] | None = None,
    vision: Mapping[str, VisionSource] | None = None,
) -> FastAPI:
    """The application. Its lifespan owns everything it opens, and closes the backend too.

    Serves the models `sources` and `vision`; where neither is given those that the settings lead to. Reads their
    configurations at once: raises FamilyError or SettingsError for what cannot be served.
    """
    if vision is None:
        vision = find_vision(settings) if sources is None else {}
    library = _library(settings, find_models(settings) if sources is None else sources)
    model_registry = open_registry(settings)
    telemetry = PrometheusTelemetry()
    if isinstance(backend, TellsResidency):
        telemetry.watch(backend)
    made = _Made(backend, library, vision, model_registry, PictureFetcher(settings.fetch), telemetry)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _running(settings, made) as services:
            attach_services(app, services)
            logger.info("serving %s", ", ".join(model.public_id for model in services.models.all()) or "no models")
            yield
            begin_drain(app)
            if not await services.admission.wait_idle(settings.server.drain_seconds):
                logger.warning("shutting down with work under way: it outlasted server.drain_seconds")
            attach_services(app, None)
            if studio is not None:
                await studio.close()

    # No /docs: the framework's page loads scripts from the internet. /openapi.json is complete.
    app = FastAPI(
        title="Triptych",
        description="Image generation behind OpenAI-compatible routes.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    errors.install(app)
    for module in (images, edits, tryon, layers, layers_compose, jobs, files, models, registry, health):
        app.include_router(module.router)
    describe_events(app)
    studio = _page(settings)
    if studio is not None:
        app.mount(page.PATH, studio)
        app.add_api_route(icon.PATH, icon.icon, include_in_schema=False)
    app.state.page = studio
    app.add_middleware(
        BodyLimitMiddleware,
        max_body_bytes=settings.server.max_body_bytes,
        max_upload_bytes=settings.uploads.max_body_bytes,
        upload_paths=frozenset(
            {page.UPLOAD_PATH}
            | {
                route.path
                for router in (edits.router, tryon.router, layers.router, layers_compose.router)
                for route in router.routes
                if isinstance(route, APIRoute)
            }
        ),
    )
    app.add_middleware(RequestContextMiddleware, telemetry=telemetry)
    return app


def begin_drain(app: FastAPI) -> None:
    """From now on new generations and /readyz are answered 503, and those under way go on."""
    services = find_services(app)
    if services is not None:
        services.admission.begin_drain()


def begin_leaving(app: FastAPI) -> None:
    """No job is begun any more, and whoever listens to pages or to jobs that wait sees the server leave: browsers keep
    their streams open, and would hold its end up.
    """
    services = find_services(app)
    if services is not None:
        services.jobs.leave()
    studio: page.Page | None = app.state.page
    if studio is not None:
        studio.begin_close()


@asynccontextmanager
async def _running(settings: Settings, made: _Made) -> AsyncIterator[Services]:
    backend, library, telemetry = made.backend, made.library, made.telemetry
    generation = settings.generation
    admission = Admission(generation.max_concurrent, generation.max_queued, telemetry)
    embeddings = EmbeddingCache(backend, generation.embedding_cache_bytes, telemetry)
    encoder = PictureEncoder()
    reader = PictureReader(settings.uploads.max_pixels)
    composer = Composer(reader)
    stores = open_stores(settings)
    pipeline = GeneratePipeline(
        backend=backend,
        models=library,
        embeddings=embeddings,
        encoder=encoder,
        reader=reader,
        admission=admission,
        telemetry=telemetry,
        timeout_seconds=generation.request_timeout,
    )
    dresser = open_try_on(
        backend=backend,
        vision=made.vision,
        models=library,
        reader=reader,
        options=settings.tryon.options,
        admission=admission,
        telemetry=telemetry,
        timeout_seconds=generation.request_timeout,
    )
    drawer = TryOnEdits(dresser, others=pipeline)
    separator = LayersPipeline(
        drawer=LayersDraw(backend, embeddings, telemetry),
        generator=pipeline,
        models=library,
        reader=reader,
        admission=admission,
        telemetry=telemetry,
        timeout_seconds=generation.request_timeout,
    )
    handlers: list[JobHandler] = [
        *(GenerationJobs(kind, drawer) for kind in (GENERATION, EDIT)),
        *(TryOnJobs(mode, dresser) for mode in TryOnMode),
        LayersJobs(separator),
    ]
    try:
        async with open_jobs(
            stores, handlers, admission, telemetry, _job_limits(settings), ready=backend.ready
        ) as desk:
            yield Services(
                backend=backend,
                backend_kind=settings.backend.kind,
                models=library,
                registry=made.registry,
                pipeline=drawer,
                tryon=dresser,
                layers=separator,
                composer=composer,
                fetcher=made.fetcher,
                admission=admission,
                defaults=GenerationDefaults(
                    generation.default_steps,
                    generation.default_guidance_scale,
                    generation.default_scheduler,
                    generation.default_seed,
                    generation.embed_parameters,
                ),
                pictures=stores.pictures,
                signer=stores.signer,
                sharing=stores.sharing,
                url_ttl_seconds=settings.storage.url_ttl_seconds,
                jobs=desk,
                lists_jobs=settings.lists_jobs,
                public_url=settings.server.public_url,
                telemetry=telemetry,
                started=time.monotonic(),
            )
    finally:
        await embeddings.close()
        encoder.close()
        composer.close()
        reader.close()
        await made.fetcher.close()
        await asyncio.to_thread(made.registry.close)
        await backend.close()


def _page(settings: Settings) -> page.Page | None:
    if not settings.ui.enabled:
        return None
    if not page.is_installed():
        logger.info("there is no page %s: it needs the extra `ui`", page.PATH)
        return None
    prefix = urlsplit(settings.server.public_url or "").path.rstrip("/")
    return page.Page(settings.runtime_directory / _PAGE_FOLDER, settings.uploads.max_body_bytes, prefix)


def _library(settings: Settings, sources: Mapping[str, ModelSource]) -> ModelLibrary:
    try:
        return ModelLibrary(sources, settings.models.default_model)
    except ModelNotFound as error:
        raise SettingsError(f"setting models.default_model: {error.message}") from error


def _secret(settings: Settings) -> bytes:
    configured = settings.storage.url_secret
    if configured is not None:
        return configured.get_secret_value().encode()
    return load_or_create_secret(settings.runtime_directory / _SECRET_FILE)


def open_stores(settings: Settings) -> Stores:
    """Where records and files are; connects to nothing yet. Raises SettingsError."""
    storage = settings.storage
    try:
        database = Database(database_url(_revealed(storage.database_url), settings.runtime_directory / _DATABASE_FILE))
    except DatabaseUrlError as error:
        raise SettingsError(f"setting storage.database_url: the URL {error}") from error
    objects = ObjectStore(
        settings.images_directory
        if storage.bucket is None
        else Bucket(
            name=storage.bucket,
            prefix=storage.bucket_prefix,
            region=storage.bucket_region,
            endpoint=storage.bucket_endpoint,
            access_key_id=_revealed(storage.bucket_access_key_id),
            secret_access_key=_revealed(storage.bucket_secret_access_key),
        )
    )
    pictures, signer = PictureStore(objects), UrlSigner(_secret(settings))
    return Stores(database, objects, pictures, signer, PictureSharing(pictures, signer))


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _job_limits(settings: Settings) -> JobLimits:
    jobs = settings.jobs
    return JobLimits(
        max_queued=jobs.max_queued,
        max_active=jobs.max_active,
        result_ttl=jobs.result_ttl_seconds,
        tombstone=jobs.tombstone_seconds,
        lease=jobs.lease_seconds,
        max_attempts=jobs.max_attempts,
    )
