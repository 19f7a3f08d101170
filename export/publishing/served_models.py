"""Which Triton models serve a manifest's components: their configurations and one-line Python files."""

from dataclasses import dataclass

from export.publishing.options import Backend, Device, PublishOptions, Runtime
from export.publishing.triton_config import (
    DynamicBatching,
    InstanceGroup,
    InstanceKind,
    ModelConfig,
    PriorityLevels,
    QueuePolicy,
    Resource,
    SpecificVersions,
)
from export.publishing.warm_up import warm_ups
from families import denoise_wire
from families.batching import MAX_BATCH
from families.manifest import Component, ModelManifest, triton_model_name
from families.repository import FIRST_VERSION, NATIVE_SUFFIX
from families.tensors import TensorSpec
from families.torch_options import TORCH_PARAMETER

# Batches form by themselves while the model is busy; waiting for company would only cost the lone caller.
_QUEUE_DELAY_MICROSECONDS = 0
# Of the native denoiser: full batches that may wait; beyond, a caller is told at once instead of waiting for minutes.
_WAITING_BATCHES = 16

_NATIVE_TIMEOUT_MICROSECONDS = 30_000_000
"""A step that nobody ran for half a minute is of no use to its caller. Requests may ask for less, never for more."""
_PRIORITY_LEVELS = 3
_DEFAULT_PRIORITY = 2
_LAST_SHARE = 4
"""The last level may fill only this part of the queue, so that a flood of it leaves room for the rest."""

_MEMORY_RESOURCE = "peak_memory"
"""Held by decoder and native denoiser while they run: their activations need not fit at the same time."""

COMPONENT_BATCHING = DynamicBatching(_QUEUE_DELAY_MICROSECONDS, QueuePolicy())
"""Of components that answer once a call.

Their queue has no limit of its own: with one (or a timeout, or priorities) Triton's batcher stops reading ahead, and
while its one instance is busy it now and then sleeps for half a second. The gateway bounds what comes (ADR 14).
"""
_TEXT_OPTIONS = (denoise_wire.LORA_NAMES, denoise_wire.LORA_SCALES)
KINDS = {Device.CPU: InstanceKind.CPU, Device.GPU: InstanceKind.GPU, Device.AUTO: InstanceKind.AUTO}
_PLATFORMS = {Backend.ONNXRUNTIME: "onnxruntime_onnx", Backend.TENSORRT: "tensorrt_plan"}
COMPONENT_CLASS = "triptych.triton.models.component"
_STEP_ENGINE_CLASS = "triptych.triton.models.denoiser"


@dataclass(frozen=True, slots=True)
class Entry:
    """One Triton model of the repository. `native`: the denoiser as one batched call a step, without step engine."""

    component: Component
    native: bool = False

    @property
    def step_engine(self) -> bool:
        """Whether this is the decoupled model that denoises whole requests."""
        return self.component is Component.DENOISER and not self.native

    def name(self, model: str) -> str:
        """Triton's name of it."""
        return triton_model_name(model, self.component) + (NATIVE_SUFFIX if self.native else "")

    def runs_python(self, options: PublishOptions) -> bool:
        """Whether it is a model of Triton's Python backend; the step engine always is."""
        return self.step_engine or options.backend is Backend.PYTHON

    def model_file(self) -> str:
        """The text of `model.py`: Triton wants a file, the class lives in the installed package."""
        module = _STEP_ENGINE_CLASS if self.step_engine else COMPONENT_CLASS
        return model_file(module)


def model_file(module: str) -> str:
    """A Python model whose class is that of an installed module."""
    return f"from {module} import TritonPythonModel  # noqa: F401\n"


def entries(component: Component, options: PublishOptions) -> tuple[Entry, ...]:
    """The Triton models of one component."""
    if component is Component.DENOISER and options.native_denoiser:
        return (Entry(component), Entry(component, native=True))
    return (Entry(component),)


def model_config(
    manifest: ModelManifest,
    entry: Entry,
    options: PublishOptions,
    *,
    version: int = FIRST_VERSION,
    engines: tuple[tuple[str, str], ...] = (),
) -> ModelConfig:
    """The configuration of one entry; nothing in it depends on where the repository lies.

    `engines` are (compute capability, file) where the version folder holds several. Raises PublishError where the
    options cannot be had with this model.
    """
    if entry.step_engine:
        return _step_engine(manifest, options, version)
    signature = manifest.signature(entry.component)
    python = entry.runs_python(options)
    max_batch = options.max_rows if entry.native else MAX_BATCH[entry.component]
    return ModelConfig(
        name=entry.name(manifest.name),
        backend="python" if python else "",
        platform="" if python else _PLATFORMS[options.backend],
        max_batch_size=max_batch,
        inputs=signature.inputs,
        optional_inputs=_TEXT_OPTIONS if python and entry.component is Component.TEXT_ENCODER else (),
        outputs=signature.outputs,
        instances=(_instances(entry, options),),
        versions=SpecificVersions((version,)),
        engines=engines,
        batching=_native_batching(max_batch, options.backend) if entry.native else COMPONENT_BATCHING,
        response_cache=options.response_cache and entry.component is Component.TEXT_ENCODER,
        warm_up=warm_ups(manifest, entry.component, max_batch) if options.warm_up else (),
        parameters=_runtime_parameters(options) if python else _backend_parameters(options),
    )


def _step_engine(manifest: ModelManifest, options: PublishOptions, version: int) -> ModelConfig:
    """The step engine batches for itself and answers more than once: no batch axis, decoupled.

    Its queue is its own too (`queue_images`), as Triton hands it requests at once; and it warms itself up.
    """
    encoded = {spec.name for spec in manifest.given}
    conditions = tuple(
        TensorSpec(spec.name, spec.dtype, ("conditions", *spec.dims))
        for spec in manifest.denoiser.inputs
        if spec.name in encoded
    )
    entry = Entry(Component.DENOISER)
    return ModelConfig(
        name=entry.name(manifest.name),
        backend="python",
        max_batch_size=0,
        inputs=(*denoise_wire.CONTROL_INPUTS, *conditions),
        optional_inputs=denoise_wire.OPTIONAL_INPUTS,
        outputs=denoise_wire.OUTPUTS,
        instances=(_instances(entry, options),),
        versions=SpecificVersions((version,)),
        decoupled=True,
        parameters=(
            *_runtime_parameters(options),
            ("max_rows", str(options.max_rows)),
            ("queue_images", str(options.queue_images)),
            ("deterministic_rows", str(options.deterministic_rows)),
        ),
    )


def _instances(entry: Entry, options: PublishOptions) -> InstanceGroup:
    """One step engine a model: two would share out the requests that one could batch."""
    peaks = entry.native or entry.component is Component.VAE_DECODER
    return InstanceGroup(
        KINDS[options.device],
        count=1 if entry.step_engine else options.instances,
        gpus=options.gpus,
        resources=(Resource(_MEMORY_RESOURCE, 1),) if peaks and options.device is Device.GPU else (),
    )


def _native_batching(max_batch: int, backend: Backend) -> DynamicBatching:
    """Priorities, timeouts and a bounded queue. Only TensorRT's engines are tuned for batch sizes: elsewhere preferring
    some would cut a batch of 3 into 2 and 1.
    """
    room = max_batch * _WAITING_BATCHES
    queue = QueuePolicy(
        max_queue_size=room, default_timeout_microseconds=_NATIVE_TIMEOUT_MICROSECONDS, allow_timeout_override=True
    )
    last = QueuePolicy(
        max_queue_size=max(1, room // _LAST_SHARE),
        default_timeout_microseconds=_NATIVE_TIMEOUT_MICROSECONDS,
        allow_timeout_override=True,
    )
    sizes = tuple(2**power for power in range(1, max_batch.bit_length()) if 2**power <= max_batch)
    priorities = PriorityLevels(_PRIORITY_LEVELS, _DEFAULT_PRIORITY, ((_PRIORITY_LEVELS, last),))
    return DynamicBatching(_QUEUE_DELAY_MICROSECONDS, queue, sizes if backend is Backend.TENSORRT else (), priorities)


def _runtime_parameters(options: PublishOptions) -> tuple[tuple[str, str], ...]:
    """What the Python models read: which runtime, on how many threads (0: as many as there are), torch's options."""
    torch = options.torch.dump() if options.runtime is Runtime.TORCH else ()
    return (
        ("runtime", options.runtime.value),
        ("threads", str(options.threads)),
        *((f"{TORCH_PARAMETER}{name}", value) for name, value in torch),
    )


def _backend_parameters(options: PublishOptions) -> tuple[tuple[str, str], ...]:
    """Names are those of Triton's ONNX Runtime backend; TensorRT's has no threads to set."""
    if options.backend is Backend.ONNXRUNTIME and options.threads:
        return (("intra_op_thread_count", str(options.threads)),)
    return ()
