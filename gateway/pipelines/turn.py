"""A request's turn: a permit, a deadline, and the record of how it ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.domain.errors import BackendTimeout, Draining, Overloaded, QueueFull, RequestTimedOut
from gateway.domain.telemetry import Outcome, Telemetry
from gateway.pipelines.admission import Admission


class Turns:
    """What every pipeline runs inside of."""

    def __init__(self, admission: Admission, telemetry: Telemetry, timeout_seconds: float) -> None:
        self._admission = admission
        self._telemetry = telemetry
        self._timeout = timeout_seconds

    @asynccontextmanager
    async def take(self, images: int) -> AsyncIterator[None]:
        """Wait for a permit for work on so many pictures. Raises Overloaded, Draining, RequestTimedOut."""
        outcome = Outcome.FAILED
        try:
            async with self._deadline(), self._admission.slot():
                yield
            outcome = Outcome.COMPLETED
        except asyncio.CancelledError:
            outcome = Outcome.CANCELLED
            raise
        except (RequestTimedOut, BackendTimeout):
            outcome = Outcome.TIMED_OUT
            raise
        except (Overloaded, QueueFull, Draining) as error:
            outcome = Outcome.REJECTED
            if error.retry_after is None:
                error.retry_after = self._admission.retry_after()
            raise
        finally:
            self._telemetry.generation(outcome, images)

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError as error:
            raise RequestTimedOut(f"the request took longer than {self._timeout:g} s and was stopped") from error
