"""The step engine: a thread of its own that keeps every request in flight moving."""

import logging
import threading
import time

import torch

from engine.errors import EngineClosedError, InvalidRequestError, QueueFullError
from engine.request import DenoiseRequest, DenoiseSink
from engine.runtimes.base import Runtime
from engine.samplers import schedule_for
from engine.settings import StepSettings
from engine.step.bucket import Bucket, RowLimits
from engine.step.check import check_request, rows_per_image
from engine.step.cost import CostModel
from engine.step.flight import Flight
from engine.step.ledger import Ledger
from engine.step.metrics import EngineMetrics
from engine.step.tick import Ticker, expected_seconds
from engine.step.warm_up import warm_up
from families.manifest import ModelManifest

_log = logging.getLogger(__name__)


class StepEngine:
    """In-flight batching of denoising steps for one model. Every method may be called from any thread."""

    def __init__(self, manifest: ModelManifest, runtime: Runtime, settings: StepSettings) -> None:
        """Measures the runtime (unless `settings.warm_up` is off) and starts the loop."""
        self._manifest = manifest
        self._runtime = runtime
        self._settings = settings
        size = manifest.size
        cells = (size.default_height // manifest.latent.downscale) * (size.default_width // manifest.latent.downscale)
        self._limits = RowLimits(settings.max_rows, settings.deterministic_rows, cells)
        self._costs = CostModel(self._limits, settings.policy.throughput_slack)
        if settings.warm_up:
            warm_up(runtime, manifest, self._limits, self._costs)
        self._ticker = Ticker(runtime, self._costs, self._limits, settings.policy)
        self._ledger = Ledger()
        self._change = threading.Condition()
        self._inbox: list[Flight] = []
        self._held = 0
        self._arrivals = 0
        self._admitting = True
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name=f"step-engine-{manifest.name}", daemon=True)
        self._thread.start()

    def submit(self, request: DenoiseRequest, sink: DenoiseSink) -> None:
        """Take the request and return at once; the sink hears of everything that follows.

        Raises InvalidRequestError, QueueFullError, EngineClosedError; the sink then hears nothing.
        """
        scheduler = check_request(request, self._manifest)
        images = len(request.seeds)
        if images > self._settings.queue_images:
            raise InvalidRequestError(
                f"{images} images are more than the engine ever holds ({self._settings.queue_images})"
            )
        try:
            schedule = schedule_for(self._manifest.noise, scheduler, request.steps)
        except ValueError as error:
            raise InvalidRequestError(str(error)) from error
        bucket = self._bucket(request)
        rows = rows_per_image(request, self._manifest)
        with self._change:
            if not self._admitting:
                raise EngineClosedError("the step engine is shutting down")
            if self._held + images > self._settings.queue_images:
                self._ledger.rejected()
                raise QueueFullError(f"{self._held} of {self._settings.queue_images} images are held already")
            self._held += images
            self._arrivals += 1
            flight = Flight(
                request,
                sink,
                arrival=self._arrivals,
                schedule=schedule,
                bucket=bucket,
                rows_per_image=rows,
                images_per_cohort=max(1, self._costs.cap(bucket) // rows),
            )
            self._inbox.append(flight)
            self._change.notify_all()

    def metrics(self) -> EngineMetrics:
        """The engine at this moment."""
        with self._change:
            held = self._held
        return self._ledger.snapshot(held)

    def drain(self, timeout: float) -> bool:
        """Admit nothing more and wait until all in flight has ended, at most `timeout` seconds. True when it has."""
        with self._change:
            self._admitting = False
            return self._change.wait_for(lambda: self._held == 0, timeout)

    def close(self, timeout: float = 0.0) -> None:
        """Drain for `timeout` seconds, fail what is left with EngineClosedError and end the thread."""
        self.drain(timeout)
        with self._change:
            self._stopping = True
            self._change.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _bucket(self, request: DenoiseRequest) -> Bucket:
        latent = (self._manifest.latent.channels, request.latent_height, request.latent_width)
        shapes = tuple(tuple(condition.tensor.shape[1:]) for condition in request.conditions)
        return Bucket(latent, shapes, request.deterministic)

    @torch.inference_mode()
    def _loop(self) -> None:
        # The host's part of a tick is tiny: more threads than this would only fight with the runtime's own.
        torch.set_num_threads(self._runtime.host_threads)
        flights: list[Flight] = []
        while True:
            with self._change:
                if not flights:
                    self._ticker.idle()
                    self._change.wait_for(lambda: self._inbox or self._stopping)
                flights += self._inbox
                self._inbox.clear()
                stopping = self._stopping
            started = time.perf_counter()
            if stopping:
                for flight in flights:
                    flight.fail(EngineClosedError("the step engine was shut down"))
            else:
                self._beat(flights)
            flights = self._settle(flights, time.perf_counter() - started)
            if stopping:
                return

    def _beat(self, flights: list[Flight]) -> None:
        """Drop the cancelled, tick the others. An error here is the engine's own: it ends the flights, not the loop."""
        try:
            running = [flight for flight in flights if not flight.cancelled() and flight.outcome is None]
            if running:
                self._ledger.ticked(self._ticker.tick(running))
        except Exception as error:
            _log.exception("the step engine's tick failed")
            for flight in flights:
                flight.fail(error)

    def _settle(self, flights: list[Flight], seconds: float) -> list[Flight]:
        """Book what has ended and return what goes on."""
        ongoing = [flight for flight in flights if flight.outcome is None]
        self._ledger.settled(flights, seconds, expected_seconds(ongoing, self._costs))
        if len(ongoing) < len(flights):
            with self._change:
                self._held -= sum(flight.images for flight in flights if flight.outcome is not None)
                self._change.notify_all()
        return ongoing
