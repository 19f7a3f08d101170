"""Components come into this process and leave it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from engine.hardware.memory import free_cached
from gateway.adapters.memory import begin_peak, give_back, own_bytes, peak_own_bytes, share_one_arena
from gateway.adapters.nvml import gpu_used_bytes
from gateway.domain.backend import Release
from gateway.domain.residency import Unit

if TYPE_CHECKING:
    from gateway.adapters.inprocess.model import OpenModel

_COPIES = 2
"""While a component is read its weights are there twice, and small graphs stay so."""


class InProcessHost:
    """Moves components of the backend's own models. What one takes is told by what the process gained with it."""

    def __init__(self, models: Callable[[], Mapping[str, OpenModel]], *, gpu: int | None = None) -> None:
        """`models` are there once the backend was opened; `gpu` is the number of the NVIDIA GPU that they live on.

        From here on the process's threads share one place to allocate from.
        """
        self._models = models
        self._gpu = gpu
        self._before: int | None = None
        share_one_arena()

    async def ready(self) -> bool:
        """See ComponentHost."""
        return bool(self._models())

    async def release(self, model: str) -> Release:
        """See ComponentHost; the same until the process ends."""
        return Release(model, self._models()[model].version)

    def files_bytes(self, unit: Unit) -> int:
        """See ComponentHost."""
        return self._models()[unit.model].file_bytes(unit.component)

    def expected_bytes(self, unit: Unit) -> int:
        """See ComponentHost."""
        return _COPIES * self.files_bytes(unit)

    async def load(self, unit: Unit) -> None:
        """See ComponentHost. Raises the engine's RuntimeUnavailableError naming the file."""
        await asyncio.to_thread(self._load, unit)

    async def unload(self, unit: Unit) -> None:
        """See ComponentHost."""
        await asyncio.to_thread(self._unload, unit)

    async def park(self, unit: Unit) -> int | None:
        """See ComponentHost. None where the device has no memory of its own, or the runtime keeps it."""
        return await asyncio.to_thread(self._park, unit)

    async def measure(self, unit: Unit, *, alone: bool) -> int | None:
        """See ComponentHost. None beside others, whose calls cannot be told from its own."""
        return await asyncio.to_thread(self._gained, unit) if alone else None

    async def present(self) -> frozenset[Unit]:
        """See ComponentHost."""
        models = self._models()
        return frozenset(Unit(name, component) for name, model in models.items() for component in model.opened)

    async def close(self) -> None:
        """The backend closes its models."""

    def _load(self, unit: Unit) -> None:
        # What is garbage already would else be freed while the component is measured, and hide what it takes.
        gc.collect()
        give_back()
        begin_peak()
        self._before = own_bytes() if self._gpu is None else gpu_used_bytes(self._gpu)
        self._models()[unit.model].open(unit.component)
        give_back()

    def _unload(self, unit: Unit) -> None:
        self._models()[unit.model].close(unit.component)
        gc.collect()  # modules refer to themselves in circles
        free_cached()
        give_back()

    def _park(self, unit: Unit) -> int | None:
        kept = self._models()[unit.model].park(unit.component)
        if kept is not None:
            free_cached()
        return kept

    def _gained(self, unit: Unit) -> int | None:
        model = self._models()[unit.model]
        # torch and ONNX Runtime keep what a call took on a GPU for the next one.
        after = peak_own_bytes(model.folder(unit.component)) if self._gpu is None else gpu_used_bytes(self._gpu)
        if self._before is None or after is None:
            return None
        return max(after - self._before, model.file_bytes(unit.component))
