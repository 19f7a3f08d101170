"""TensorRT and TensorRT-RTX as a runtime: tensors stay on the GPU, frequent shapes replay a CUDA graph.

Written against both libraries' interfaces and tested with a pretended library and GPU; see `docs/export/full-size.md`
for what has run on real ones.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from engine.errors import RuntimeUnavailableError
from engine.runtimes.tensorrt_buckets import ShapeBucket, ShapeBuckets
from engine.runtimes.tensorrt_context import Execution, allocate
from engine.runtimes.tensorrt_contexts import Contexts, LoadedEngine
from engine.runtimes.tensorrt_description import EngineDescription, read_description
from engine.runtimes.tensorrt_device import DTYPES, CudaDevice, Device
from engine.runtimes.tensorrt_io import Binding, EngineIO, engine_io
from engine.runtimes.tensorrt_kernels import KernelCache, kernel_file
from engine.runtimes.tensorrt_library import LIBRARIES, import_library
from engine.runtimes.tensorrt_log import joined, library_log
from engine.settings import RuntimeSettings
from families.manifest import Component, ModelManifest
from families.repository import PLAN_FILE
from families.tensors import Array, ComponentSignature

_log = logging.getLogger(__name__)


class TensorRtRuntime:
    """One engine. Callers use one CUDA stream: the buckets' buffers are ordered with that one alone."""

    def __init__(
        self,
        io: EngineIO,
        signature: ComponentSignature,
        device: Device,
        contexts: Contexts,
        settings: RuntimeSettings,
    ) -> None:
        self._io = io
        self._device = device
        self._threads = settings.thread_count
        self._names = [spec.name for spec in signature.inputs]
        by_name = {binding.name: binding for binding in (*io.inputs, *io.outputs)}
        self._inputs = tuple(by_name[spec.name] for spec in signature.inputs)
        self._outputs = tuple(by_name[spec.name] for spec in signature.outputs)
        self._contexts = contexts
        self._executions: dict[int, Execution] = {}
        self._buckets = ShapeBuckets(settings.cuda_graph_shapes if settings.cuda_graphs else 0)

    @property
    def device(self) -> str:
        """See the protocol."""
        return self._device.name

    @property
    def host_threads(self) -> int:
        """The GPU does the work, so torch may have every thread."""
        return self._threads

    @property
    def computes_on_host(self) -> bool:
        """See the protocol."""
        return False

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """See the protocol. Ordered with the caller's stream, as torch's own operators are; the host does not wait.

        Raises ValueError for tensors of another type or of shapes that no profile takes.
        """
        tensors = [self._checked(binding, tensor) for binding, tensor in zip(self._inputs, inputs, strict=True)]
        shapes = tuple(tuple(tensor.shape) for tensor in tensors)
        # Buffers outlive the call that made them, and torch refuses to write into another mode's tensors.
        with torch.inference_mode():
            bucket = self._buckets.find(shapes)
            if bucket is None and self._buckets.is_due(shapes):
                bucket = self._buckets.add(shapes, lambda: self._record(shapes))
            return self._direct(tensors, shapes) if bucket is None else self._replayed(bucket, tensors)

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """See the protocol."""
        tensors = [torch.from_numpy(array).to(self.device) for array in inputs]
        return tuple(output.cpu().numpy() for output in self.run(tensors))

    def _checked(self, binding: Binding, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype != DTYPES[binding.dtype]:
            raise ValueError(f"input {binding.name!r} must be {DTYPES[binding.dtype]}, not {tensor.dtype}")
        if str(tensor.device) != self.device:
            raise ValueError(f"input {binding.name!r} must be on {self.device}, not {tensor.device}")
        return tensor.contiguous()

    def _direct(self, tensors: list[torch.Tensor], shapes: tuple[tuple[int, ...], ...]) -> tuple[torch.Tensor, ...]:
        profile = self._io.profile_for(self._names, shapes)
        execution = self._executions.get(profile)
        if execution is None:
            execution = self._executions[profile] = self._contexts.for_any_shape(profile)
        outputs = self._bound(execution, tensors, shapes)
        with self._device.turn():
            execution.enqueue()
        return tuple(outputs)

    def _bound(
        self, execution: Execution, tensors: Sequence[torch.Tensor], shapes: Sequence[tuple[int, ...]]
    ) -> list[torch.Tensor]:
        """Outputs for a call on these inputs, everything bound."""
        outputs = allocate(self._device, self._outputs, execution.shape_outputs(self._names, shapes, self._outputs))
        execution.bind(self._names, tensors)
        execution.bind([binding.name for binding in self._outputs], outputs)
        return outputs

    def _record(self, shapes: tuple[tuple[int, ...], ...]) -> ShapeBucket:
        """A context of the bucket's own: what a graph has recorded must not be reshaped by another call."""
        execution = self._contexts.for_one_shape(self._io.profile_for(self._names, shapes))
        inputs = allocate(self._device, self._inputs, shapes)
        outputs = self._bound(execution, inputs, shapes)
        for tensor in inputs:
            tensor.zero_()
        with self._device.turn():
            execution.enqueue()  # a context's first call may allocate, which a recording must not
        recorded = self._contexts.record_themselves
        replay = execution.enqueue if recorded else self._device.capture(execution.enqueue)
        self._contexts.keep_kernels()
        _log.debug("recorded a graph for %s", shapes)
        return ShapeBucket(tuple(inputs), tuple(outputs), execution, replay)

    def _replayed(self, bucket: ShapeBucket, tensors: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Into the bucket's buffers, replay, and out of them: the caller keeps what it gets."""
        for buffer, tensor in zip(bucket.inputs, tensors, strict=True):
            buffer.copy_(tensor)
        with self._device.turn():
            bucket.replay()
        return tuple(output.clone() for output in bucket.outputs)


def open_runtime(
    folder: Path, manifest: ModelManifest, component: Component, settings: RuntimeSettings
) -> TensorRtRuntime:
    """Load `<folder>/model.plan`, built by the library that `<folder>/engine.json` names.

    Raises RuntimeUnavailableError where a file, the library or the GPU is missing, or the engine is for another one.
    """
    return open_engine(folder, manifest.signature(component), settings)


def open_engine(folder: Path, signature: ComponentSignature, settings: RuntimeSettings) -> TensorRtRuntime:
    """`open_runtime` for a signature of any origin."""
    plan = folder / PLAN_FILE
    if not plan.is_file():
        raise RuntimeUnavailableError(f"{plan} is missing: the tensorrt runtime needs the compiled engine")
    description = read_description(folder)
    library = LIBRARIES.get(description.library)
    if library is None:
        raise RuntimeUnavailableError(
            f"{folder} has an engine of {description.library!r}; known are {', '.join(LIBRARIES)}"
        )
    device = CudaDevice(settings.device)
    module = import_library(library)
    _check_fit(description, str(module.__version__), device.compute_capability, plan)
    logger, trap = library_log(module)
    with trap.collecting() as errors:
        runtime = module.Runtime(logger)
        content = plan.read_bytes()
        engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise RuntimeUnavailableError(f"{plan} cannot be loaded: {joined(errors)}")
    kept = settings.kernel_cache
    kernels = None if kept is None else KernelCache(kernel_file(kept, content))
    return assemble(LoadedEngine(module, engine, trap, kernels), signature, device, settings)


def _check_fit(description: EngineDescription, version: str, capability: str, plan: Path) -> None:
    """Say what the library would only hint at."""
    if description.version != version:
        raise RuntimeUnavailableError(
            f"{plan} was built by {description.library} {description.version}, installed is {version}: build it again"
        )
    wanted = description.compute_capabilities
    if wanted and capability not in wanted:
        raise RuntimeUnavailableError(
            f"{plan} was built for compute capability {', '.join(wanted)}, this GPU has {capability}"
        )


def assemble(
    loaded: LoadedEngine, signature: ComponentSignature, device: Device, settings: RuntimeSettings
) -> TensorRtRuntime:
    """A runtime on a deserialised engine. Raises RuntimeUnavailableError where its tensors are not the signature's."""
    io = engine_io(loaded.module, loaded.engine)
    for kind, specs, bindings in (("takes", signature.inputs, io.inputs), ("gives", signature.outputs, io.outputs)):
        expected, found = sorted(spec.name for spec in specs), sorted(binding.name for binding in bindings)
        if expected != found:
            raise RuntimeUnavailableError(f"the engine {kind} {found}, but its manifest says {expected}")
    unknown = [binding.dtype for binding in (*io.inputs, *io.outputs) if binding.dtype not in DTYPES]
    if unknown:
        raise RuntimeUnavailableError(f"the engine has tensors of types that torch lacks: {', '.join(unknown)}")
    return TensorRtRuntime(io, signature, device, Contexts(loaded, device), settings)
