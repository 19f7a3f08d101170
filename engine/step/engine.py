"""The step engine: a thread of its own that keeps every request in flight moving."""

import logging
import math
import threading
import time
from collections.abc import Callable

import torch

from engine.errors import EngineClosedError, InvalidRequestError, QueueFullError
from engine.request import DenoiseRequest, DenoiseSink
from engine.runtimes.adapters import prepare_adapters
from engine.runtimes.base import Runtime, SharesCores
from engine.samplers import schedule_for
from engine.settings import StepSettings
from engine.step.batch import Batcher
from engine.step.bucket import Bucket, RowLimits
from engine.step.check import check_request, done_of
from engine.step.conditions import call_conditions
from engine.step.cost import CostModel
from engine.step.flight import Flight
from engine.step.frames import frames_of
from engine.step.give_way import give_way
from engine.step.guidance import rows_of_calls
from engine.step.ledger import Ledger
from engine.step.metrics import EngineMetrics
from engine.step.tick import Computed, Tick, Ticker, compute, expected_seconds
from engine.step.warm_up import warm_up
from families.manifest import ModelManifest

_log = logging.getLogger(__name__)

_MOST_LANES = 4
"""Cores up to which each computes ticks of its own: few cores are shared with text encoder, decoder and gateway, and
threads of one call would wait for whichever of them is held up. More cores do better on one larger batch."""


class StepEngine:
    """In-flight batching of denoising steps for one model. Every method may be called from any thread.

    Lanes are threads that compute ticks side by side, each with rows of its own; all else happens under one lock.
    """

    def __init__(self, manifest: ModelManifest, runtime: Runtime, settings: StepSettings) -> None:
        """Measures the runtime (unless `settings.warm_up` is off) and starts the loop."""
        self._manifest = manifest
        self._runtime = runtime
        self._settings = settings
        cells = math.prod(manifest.default_latent_size)
        self._limits = RowLimits(settings.max_rows, settings.deterministic_rows, cells)
        self._costs = CostModel(self._limits, settings.policy.throughput_slack)
        if settings.warm_up:
            warm_up(runtime, manifest, self._limits, self._costs)
        threads = settings.runtime.thread_count
        lanes = threads if isinstance(runtime, SharesCores) and threads <= _MOST_LANES else 1
        self._ticker = Ticker(self._costs, self._limits, settings.policy, lanes)
        self._ledger = Ledger(lanes)
        self._change = threading.Condition()
        self._flights: list[Flight] = []
        self._held = 0
        self._arrivals = 0
        self._admitting = True
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._loop, name=f"step-engine-{manifest.name}-{lane}", daemon=True)
            for lane in range(lanes)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, request: DenoiseRequest, sink: DenoiseSink) -> None:
        """Take the request and return at once; the sink hears of everything that follows.

        A LoRA that is not in memory is read first, in the caller's thread. Raises InvalidRequestError, QueueFullError,
        EngineClosedError; the sink then hears nothing.
        """
        scheduler = check_request(request, self._manifest)
        prepare_adapters(self._runtime, request.loras)
        images = len(request.seeds)
        if images > self._settings.queue_images:
            raise InvalidRequestError(
                f"{images} images are more than the engine ever holds ({self._settings.queue_images})"
            )
        frames = frames_of(request, self._manifest)
        try:
            cells = request.latent_height // frames * request.latent_width
            done = done_of(request, self._manifest)
            schedule = schedule_for(self._manifest.noise, scheduler, request.steps, cells, done)
        except ValueError as error:
            raise InvalidRequestError(str(error)) from error
        rows = rows_of_calls(request, self._manifest, schedule)
        conditions = call_conditions(request, self._manifest, max(rows))
        bucket = self._bucket(request, conditions)
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
                conditions=conditions,
                rows_of_calls=rows,
                images_per_cohort=max(1, self._costs.cap(bucket) // max(rows)),
                noise_patch=self._manifest.latent.noise_patch,
                frames=frames,
            )
            self._flights.append(flight)
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
        """Drain for `timeout` seconds, fail what is left with EngineClosedError and end the threads."""
        self.drain(timeout)
        with self._change:
            self._stopping = True
            self._change.notify_all()
        for thread in self._threads:
            if threading.current_thread() is not thread:
                thread.join()

    def _bucket(self, request: DenoiseRequest, conditions: tuple[torch.Tensor, ...]) -> Bucket:
        latent = (self._manifest.latent.channels, request.latent_height, request.latent_width)
        shapes = tuple(tuple(condition.shape[1:]) for condition in conditions)
        return Bucket(latent, shapes, request.deterministic)

    @torch.inference_mode()
    def _loop(self) -> None:
        # The host's part of a tick is tiny: more threads than this would only fight with the runtime's own.
        torch.set_num_threads(self._runtime.host_threads)
        if len(self._threads) > 1:
            give_way()
        batcher = Batcher(self._runtime, self._manifest.guidance)
        while True:
            tick = self._next(batcher)
            if tick is None:
                return
            started = time.perf_counter()
            computed = compute(tick, batcher)
            self._settle(tick, computed, started)

    def _next(self, batcher: Batcher) -> Tick | None:
        """Wait for work. None: the engine is shut down, and what was in flight has failed."""
        with self._change:
            while not self._stopping:
                self._drop(lambda flight: flight.cancelled())
                try:
                    tick = self._ticker.choose(self._flights)
                except Exception as error:
                    self._fail_all(error)
                    continue
                if tick is not None:
                    return tick
                batcher.forget()
                if not self._flights:
                    self._ticker.idle()
                self._change.wait()
            for flight in self._flights:
                flight.fail(EngineClosedError("the step engine was shut down"))
            self._drop(lambda flight: flight.outcome is not None)
            return None

    def _settle(self, tick: Tick, computed: Computed, started: float) -> None:
        """Step what was computed and book what has ended."""
        with self._change:
            skipped = 0
            try:
                skipped = self._ticker.settle(tick, computed)
            except Exception as error:
                self._fail_all(error)
            self._ledger.ticked(tick, computed.seconds or 0.0, time.perf_counter() - started, skipped)
            self._drop(lambda flight: flight.outcome is not None)
            self._change.notify_all()

    def _fail_all(self, error: Exception) -> None:
        """An error of the engine's own ends the flights, not the loop."""
        _log.error("the step engine's tick failed", exc_info=error)
        for flight in self._flights:
            flight.fail(error)
        self._drop(lambda flight: flight.outcome is not None)

    def _drop(self, has_ended: Callable[[Flight], bool]) -> None:
        """Let go of what has ended."""
        ended = [flight for flight in self._flights if has_ended(flight)]
        if ended:
            self._flights = [flight for flight in self._flights if flight.outcome is None]
            self._held -= sum(flight.images for flight in ended)
            self._change.notify_all()
        self._ledger.settled(ended, self._flights, expected_seconds(self._flights, self._costs))
