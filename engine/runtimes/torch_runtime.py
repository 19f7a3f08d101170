"""PyTorch as a runtime: CUDA, MPS or CPU."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.checkpoints import own_memory
from engine.errors import RuntimeUnavailableError
from engine.hardware.memory import within_memory
from engine.hardware.parking import can_park, park, unpark
from engine.hardware.policy import TorchPlan, plan_for
from engine.hardware.prepare import prepare
from engine.lora.layers import adaptable_layers
from engine.lora.rows import acting
from engine.lora.store import AdapterStore
from engine.modules import load_component
from engine.runtimes.adapters import RowAdapters
from engine.settings import RuntimeSettings
from families.errors import FamilyError
from families.lora.use import LoraUse
from families.manifest import Component, ModelManifest
from families.repository import LORAS_FOLDER, WEIGHTS_FOLDER
from families.tensors import Array
from families.torch_options import Offload


class TorchRuntime:
    """A component's torch module, float32 outside whatever it computes with. Implements `TakesAdapters` and `Parks`."""

    def __init__(self, module: nn.Module, plan: TorchPlan, threads: int, adapters: AdapterStore) -> None:
        self._module = prepare(module, plan)
        self._forward: Callable[..., Any] = self._module
        self._plan = plan
        self._device = plan.device
        self._dtype = plan.dtype
        self._threads = threads
        self._adapters = adapters
        torch.set_num_threads(threads)

    @property
    def device(self) -> str:
        """See the protocol."""
        return str(self._device)

    @property
    def host_threads(self) -> int:
        """The module itself runs on these threads."""
        return self._threads

    @property
    def computes_on_host(self) -> bool:
        """See the protocol."""
        return self._device.type == "cpu"

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """See the protocol."""
        return within_memory(self._call, inputs)

    def park(self) -> int | None:
        """See `Parks`. Adapters are small, and read again when they are asked for."""
        if not can_park(self._plan):
            return None
        self._adapters.clear()
        return park(self._module)

    def unpark(self) -> None:
        """See `Parks`."""
        within_memory(unpark, self._module, self._device)

    def prepare_adapters(self, uses: Sequence[LoraUse]) -> None:
        """See `TakesAdapters`."""
        for use in uses:
            self._adapters.get(use.name)

    @contextmanager
    def acting(self, adapters: RowAdapters) -> Iterator[None]:
        """See `TakesAdapters`. Adapters that left the memory meanwhile are loaded again."""
        with acting(adapters, self._adapters.get):
            self._forward = self._module.forward  # what was compiled does not see them
            try:
                yield
            finally:
                self._forward = self._module

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """See the protocol."""
        tensors = [torch.from_numpy(array).to(self._device) for array in inputs]
        return tuple(output.contiguous().cpu().numpy() for output in self.run(tensors))

    def _call(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        half = self._dtype is not torch.float32
        with torch.inference_mode(), torch.autocast(self._device.type, self._dtype, enabled=half):
            output = self._forward(*inputs)
        outputs = output if isinstance(output, tuple) else (output,)
        return tuple(tensor.float() if tensor.is_floating_point() else tensor for tensor in outputs)


def open_runtime(
    folder: Path, manifest: ModelManifest, component: Component, settings: RuntimeSettings
) -> TorchRuntime:
    """Load `<folder>/weights`. Raises RuntimeUnavailableError when the device or the weights are not there."""
    weights = folder / WEIGHTS_FOLDER
    if not weights.is_dir():
        raise RuntimeUnavailableError(f"{weights} is missing: the torch runtime needs the published weights")
    plan = plan_for(component, settings.device, settings.torch)
    device = plan.device
    try:
        loaded = load_component(manifest.family, component, weights, plan.dtype, keep_quantised=True)
    except FamilyError as error:
        raise RuntimeUnavailableError(str(error)) from error
    if device.type == "cpu" or plan.offload is not Offload.NONE:
        own_memory(loaded.module)  # the published files may be linked to ones that somebody writes to
    layers = adaptable_layers(loaded.module, loaded.parts)
    adapters = AdapterStore(folder / LORAS_FOLDER, layers, device, settings.lora_bytes)
    return TorchRuntime(loaded.module, plan, settings.thread_count, adapters)
