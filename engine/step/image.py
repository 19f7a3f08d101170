"""One image in flight: its sampler, and the step cache that it may have."""

import torch

from engine.samplers import Sampler
from engine.step.step_cache import StepCache


class Image:
    """Says what the next denoiser call needs of it, and what that call's prediction is."""

    def __init__(self, sampler: Sampler, threshold: float | None) -> None:
        """`threshold` of the step cache; None: every call is evaluated."""
        self.sampler = sampler
        self._cache = None if threshold is None else StepCache(threshold)

    def skips(self, rows: int) -> bool:
        """Whether the next call, of `rows` rows, needs no denoiser."""
        return self._cache is not None and self._cache.covers(self.sampler, rows)

    def prediction(self, evaluated: torch.Tensor | None, rows: int) -> torch.Tensor:
        """The next call's prediction [1, C, h, w]: what the denoiser said, or the cache's where it was not asked."""
        if self._cache is None:
            assert evaluated is not None
            return evaluated
        if evaluated is None:
            return self._cache.prediction(self.sampler)
        self._cache.evaluated(self.sampler, evaluated, rows)
        return evaluated
