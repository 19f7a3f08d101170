"""A server without what try-on needs."""

from gateway.domain.errors import ModelNotFound
from gateway.domain.tryon import TryOnCommand, TryOnListener, TryOnResult
from gateway.domain.tryon_port import TryOnRunner


class NoTryOn(TryOnRunner):
    """Refuses every try-on, and says what is missing."""

    def __init__(self, missing: str) -> None:
        self._missing = missing

    async def run(self, command: TryOnCommand, listener: TryOnListener | None) -> TryOnResult:
        """Raises ModelNotFound."""
        raise ModelNotFound(f"this server does no try-on: {self._missing}", param="model")
