"""Hears the step engine."""

from concurrent.futures import Future

import torch


class FutureSink:
    """Turns the engine's events into one future."""

    def __init__(self) -> None:
        self.latents: Future[torch.Tensor] = Future()

    def progress(self, step: int) -> None:
        """Not shown."""

    def preview(self, step: int, latents: torch.Tensor) -> None:
        """Not asked for."""

    def finished(self, latents: torch.Tensor) -> None:
        """The picture's latents."""
        self.latents.set_result(latents)

    def failed(self, error: Exception) -> None:
        """The engine's error."""
        self.latents.set_exception(error)

    def cancelled(self) -> bool:
        """Nobody goes away."""
        return False
