"""What the routes ask of whoever dresses people; the pipeline implements it."""

from typing import Protocol

from gateway.domain.tryon import TryOnCommand, TryOnListener, TryOnResult


class TryOnRunner(Protocol):
    """Does whole try-ons."""

    async def run(self, command: TryOnCommand, listener: TryOnListener | None) -> TryOnResult:
        """Waits for a permit. Raises GatewayError; cancelled like any task, with nothing left running."""
        ...
