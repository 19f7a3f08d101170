"""A published model's adapters in memory: loaded when first used, the least recently used leave first."""

import threading
from collections import OrderedDict
from pathlib import Path

import torch

from engine.errors import AdapterError
from engine.lora.adapter import Adapter, load_adapter
from engine.lora.layers import AdaptableLayers
from families.lora.errors import LoraError


class AdapterStore:
    """The `*.safetensors` of one folder by their stems. Any thread may ask."""

    def __init__(self, folder: Path, layers: AdaptableLayers, device: torch.device, capacity: int) -> None:
        """`capacity`: bytes to keep. The one in use stays, however large it is."""
        self._paths = {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
        self._layers = layers
        self._device = device
        self._capacity = capacity
        self._kept: OrderedDict[str, Adapter] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of those in memory, the least recently used first."""
        return tuple(self._kept)

    def get(self, name: str) -> Adapter:
        """Raises AdapterError for a name that is not there, and for a file that does not fit the model."""
        with self._lock:
            adapter = self._kept.get(name)
            if adapter is None:
                adapter = self._load(name)
                self._kept[name] = adapter
            self._kept.move_to_end(name)
            while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > self._capacity:
                self._kept.popitem(last=False)
            return adapter

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()

    def _load(self, name: str) -> Adapter:
        path = self._paths.get(name)
        if path is None:
            known = ", ".join(self._paths) or "none"
            raise AdapterError(f"unknown LoRA {name[:200]!r}; this model has {known}")
        try:
            return load_adapter(path, self._layers, self._device)
        except LoraError as error:
            raise AdapterError(f"the LoRA {name!r} cannot be used with this model: {error}") from error
