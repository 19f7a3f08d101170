"""Keep one Triton running."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from triptych.triton import logs
from triptych.triton.command import Ports, TritonSettings
from triptych.triton.errors import TritonError, TritonStartError
from triptych.triton.health import dead_stubs, probe
from triptych.triton.ports import PortLease, lease
from triptych.triton.process import TritonProcess, launch
from triptych.triton.runtime import TritonRuntime
from triptych.triton.state import Endpoints, RestartPolicy, State, Status

logger = logging.getLogger(__name__)

READY_POLL_S = 0.05


class TritonSupervisor:
    """Start Triton, watch it, restart it, stop it.

    A restart follows the death of the server or of one of its Python stubs (which Triton alone does not recover from),
    and silence on the health endpoint. The ports never change, so clients just reconnect.

    An async context manager, or `start()` and `stop()`; for one event loop.
    """

    def __init__(
        self,
        runtime: TritonRuntime,
        settings: TritonSettings,
        log_file: Path,
        policy: RestartPolicy | None = None,
        on_change: Callable[[Status], None] | None = None,
    ) -> None:
        """`log_file` gets the current run's log, `.1` to `.3` the earlier ones; `on_change` each new status."""
        self._runtime = runtime
        self._settings = settings
        self._log_file = log_file
        self._policy = policy or RestartPolicy()
        self._on_change = on_change
        self._status = Status(State.STOPPED)
        self._changed = asyncio.Event()
        self._lease: PortLease | None = None
        self._process: TritonProcess | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def status(self) -> Status:
        """The present state."""
        return self._status

    @property
    def endpoints(self) -> Endpoints:
        """Where to reach Triton; known from `reserve()` or `start()` on."""
        ports, address = self._ports, self._settings.address
        host = f"[{address}]" if ":" in address else address
        return Endpoints(
            grpc=f"{host}:{ports.grpc}",
            http=f"http://{host}:{ports.http}",
            metrics=f"http://{host}:{ports.metrics}/metrics",
        )

    def reserve(self) -> Endpoints:
        """Take the ports now, so that clients can be made before Triton runs. Raises `PortInUseError`."""
        if self._lease is None:
            self._lease = lease(self._settings.address, self._settings.ports)
        return self.endpoints

    async def start(self) -> Endpoints:
        """Start and wait until every model is ready.

        Raises `PortInUseError` or `TritonStartError`. A first start is not retried: a model that does not load will not
        load the second time either.
        """
        if self._watcher is not None or self._process is not None:
            raise TritonError("Triton is already running")
        reserved = self._lease is not None
        endpoints = self.reserve()
        self._set(State.STARTING)
        try:
            await self._launch()
        except BaseException as error:
            if not reserved:  # ports that clients already know stay ours until stop()
                self._release()
            state = State.STOPPED if isinstance(error, asyncio.CancelledError) else State.FAILED
            self._set(state, detail=_first_line(error))
            raise
        self._set(State.READY)
        self._watcher = asyncio.create_task(self._supervise(), name="triton-supervisor")
        return endpoints

    async def wait_ready(self, timeout_s: float | None = None) -> None:
        """Wait through restarts until ready.

        Raises `TimeoutError`, or `TritonError` once stopped or failed.
        """
        async with asyncio.timeout(timeout_s):
            while self._status.state in (State.STARTING, State.RESTARTING):
                await self._changed.wait()
        if self._status.state is not State.READY:
            raise TritonError(f"Triton is {self._status.state}: {self._status.detail or 'no reason recorded'}")

    async def stop(self) -> int | None:
        """Let requests in flight finish, then stop. Returns Triton's exit code; None if nothing ran."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        process, self._process = self._process, None
        code = await process.stop() if process else None
        if code:
            logger.warning("Triton stopped with exit code %d: it had not let go of every request in time", code)
        self._release()
        if self._status.state is not State.FAILED:
            self._set(State.STOPPED)
        return code

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    def _release(self) -> None:
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    @property
    def _ports(self) -> Ports:
        if self._lease is None:
            raise TritonError("Triton has no endpoints before reserve() or start()")
        return self._lease.ports

    async def _launch(self) -> None:
        """One launch up to ready; on any failure nothing is left running."""
        began = time.monotonic()
        process = await launch(self._runtime, self._settings, self._ports, self._log_file)
        self._process = process
        try:
            await self._until_ready(process)
        except BaseException:
            self._process = None
            await process.kill()
            raise
        logger.info("Triton is ready after %.2f s (pid %d)", time.monotonic() - began, process.pid)

    async def _until_ready(self, process: TritonProcess) -> None:
        deadline = time.monotonic() + self._policy.startup_deadline_s
        while process.running:
            if await probe(self._settings.address, self._ports.http):
                return
            if time.monotonic() > deadline:
                raise self._start_error(f"Triton was not ready after {self._policy.startup_deadline_s:g} s")
            await asyncio.sleep(READY_POLL_S)
        raise self._start_error(f"Triton died while starting ({_describe(await process.wait())})")

    def _start_error(self, reason: str) -> TritonStartError:
        return TritonStartError(reason, logs.tail(self._log_file), str(self._log_file))

    async def _supervise(self) -> None:
        try:
            await self._watch()
        except Exception as error:  # nobody awaits this task: a mistake in it must show
            logger.exception("the supervision of Triton broke down")
            self._set(State.FAILED, detail=f"supervision broke down: {error!r}")

    async def _watch(self) -> None:
        """Restart until told to stop or out of patience."""
        failures = 0
        while self._process is not None:
            ready_at = time.monotonic()
            reason = await self._until_broken(self._process)
            await self._process.kill()
            self._process = None
            failures = 0 if time.monotonic() - ready_at >= self._policy.healthy_after_s else failures
            while self._process is None:
                failures += 1
                logger.error("%s; log: %s", reason, self._log_file)
                if failures >= self._policy.give_up_after:
                    detail = f"gave up after {failures} failures in a row, the last: {reason}"
                    logger.critical("Triton: %s", detail)
                    self._set(State.FAILED, detail=detail)
                    return
                self._set(State.RESTARTING, detail=reason)
                await asyncio.sleep(self._policy.backoff(failures))
                try:
                    await self._launch()
                except (TritonError, OSError) as error:
                    reason = _first_line(error)
            self._set(State.READY, restarts=self._status.restarts + 1)

    async def _until_broken(self, process: TritonProcess) -> str:
        """Wait until this process is no good any more; why."""
        policy, last_answer = self._policy, time.monotonic()
        unreaped: dict[int, float] = {}
        while True:
            with contextlib.suppress(TimeoutError):
                return f"Triton died ({_describe(await asyncio.wait_for(process.wait(), policy.poll_s))})"
            # A stub that Triton ends itself is a zombie too until it is reaped, on a starved machine for seconds.
            now = time.monotonic()
            unreaped = {pid: unreaped.get(pid, now) for pid in dead_stubs(process.pid)}
            died = [pid for pid, since in unreaped.items() if now - since >= policy.unreaped_after_s]
            if died:
                return f"a Python model's process died (pid {min(died)}), Triton does not recover from it"
            if await probe(self._settings.address, self._ports.http, "/v2/health/live"):
                last_answer = time.monotonic()
            elif time.monotonic() - last_answer > policy.unresponsive_after_s:
                return f"Triton answered no health probe for {policy.unresponsive_after_s:g} s"

    def _set(self, state: State, *, detail: str = "", restarts: int | None = None) -> None:
        self._status = replace(
            self._status,
            state=state,
            detail=detail,
            pid=self._process.pid if self._process else None,
            restarts=self._status.restarts if restarts is None else restarts,
        )
        # A fresh event each time: whoever waits sees every change, and setting one is no point of cancellation.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if self._on_change is not None:
            try:
                self._on_change(self._status)
            except Exception:  # an observer's mistake must not end the supervision
                logger.exception("the on_change callback failed")


def _describe(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _first_line(error: BaseException) -> str:
    return str(error).partition(";")[0].partition("\n")[0] or type(error).__name__
