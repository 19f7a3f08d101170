"""What every drawing does with the backend: all of it by one release, and a job's events until its latents."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from typing import TypeVar

from gateway.domain.backend import Denoised, DenoiseEvent, DenoiseJob, InferenceBackend, Latents, Release
from gateway.domain.errors import BackendFailed, ReleaseGone
from gateway.domain.telemetry import Stage, Telemetry

logger = logging.getLogger(__name__)

_Drawn = TypeVar("_Drawn")


class Sampling:
    """Of one backend. Holds no state between drawings."""

    def __init__(self, backend: InferenceBackend, telemetry: Telemetry) -> None:
        self._backend = backend
        self._telemetry = telemetry

    async def released(self, model: str, draw: Callable[[Release], Awaitable[_Drawn]]) -> _Drawn:
        """All of it by one release. What lost its release half-way is drawn anew by the next one."""
        release = await self._backend.release(model)
        while True:
            try:
                return await draw(release)
            except ReleaseGone:
                gone, release = release, await self._backend.release(model)
                if release == gone:
                    raise
                logger.info("%s was replaced meanwhile: begun again with version %s", release.model, release.version)

    async def latents(self, job: DenoiseJob, hear: Callable[[DenoiseEvent], None]) -> Latents:
        """Run the job; `hear` is called with each of its events. Raises BackendError."""
        with self.timed(Stage.DENOISE):
            async with aclosing(self._backend.denoise(job)) as events:
                async for event in events:
                    hear(event)
                    if isinstance(event, Denoised):
                        return event.latents
        raise BackendFailed("the denoiser's events ended without latents")

    def timed(self, stage: Stage) -> AbstractContextManager[None]:
        """See `timed`."""
        return timed(self._telemetry, stage)


@contextmanager
def timed(telemetry: Telemetry, stage: Stage) -> Iterator[None]:
    """What is done inside counts as this stage, if it ends well."""
    begun = time.monotonic()
    yield
    telemetry.stage(stage, time.monotonic() - begun)
