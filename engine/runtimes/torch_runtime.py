"""PyTorch as a runtime: CUDA, MPS or CPU."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from engine.errors import RuntimeUnavailableError
from engine.modules import load_module
from engine.settings import RuntimeSettings
from families.manifest import Component, ModelManifest
from families.repository import WEIGHTS_FOLDER
from families.tensors import Array


class TorchRuntime:
    """A component's torch module in float32."""

    def __init__(self, module: nn.Module, device: torch.device, threads: int) -> None:
        # oneDNN and cuDNN convolve channels-last without reordering every activation.
        self._module = module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self._threads = threads
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
        with torch.inference_mode():
            output = self._module(*inputs)
        return output if isinstance(output, tuple) else (output,)

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """See the protocol."""
        tensors = [torch.from_numpy(array).to(self._device) for array in inputs]
        return tuple(output.contiguous().cpu().numpy() for output in self.run(tensors))


def open_runtime(
    folder: Path, manifest: ModelManifest, component: Component, settings: RuntimeSettings
) -> TorchRuntime:
    """Load `<folder>/weights`. Raises RuntimeUnavailableError when the device or the weights are not there."""
    weights = folder / WEIGHTS_FOLDER
    if not weights.is_dir():
        raise RuntimeUnavailableError(f"{weights} is missing: the torch runtime needs the published weights")
    device = pick_device(settings.device)
    return TorchRuntime(load_module(manifest.family, component, weights), device, settings.thread_count)


def pick_device(wanted: str) -> torch.device:
    """The device of this name; `auto` takes the fastest there is."""
    if wanted != "auto":
        device = torch.device(wanted)
        usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if not usable.get(device.type, True):
            raise RuntimeUnavailableError(f"device {wanted!r} was asked for, but torch cannot use it here")
        return device
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
