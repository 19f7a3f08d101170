"""Which Triton model serves a component: its configuration and its one-line Python file."""

from export.options import Backend, Device, PublishOptions
from export.triton_config import DynamicBatching, InstanceKind, ModelConfig
from families import denoise_wire
from families.batching import MAX_BATCH
from families.manifest import Component, ModelManifest, triton_model_name
from families.repository import VERSION
from families.tensors import TensorSpec

# Batches form by themselves while the model is busy; waiting for company would only cost the lone caller.
_QUEUE_DELAY_MICROSECONDS = 0
# Full batches that may wait; beyond, a caller is told at once instead of waiting for minutes.
_WAITING_BATCHES = 16

_KINDS = {Device.CPU: InstanceKind.CPU, Device.GPU: InstanceKind.GPU, Device.AUTO: InstanceKind.AUTO}
_PYTHON_CLASSES = {
    Component.TEXT_ENCODER: "triptych.triton.models.component",
    Component.DENOISER: "triptych.triton.models.denoiser",
    Component.VAE_DECODER: "triptych.triton.models.component",
}


def runs_python(component: Component, options: PublishOptions) -> bool:
    """Whether a component is a model of Triton's Python backend; the step engine always is."""
    return options.backend is Backend.PYTHON or component is Component.DENOISER


def model_file(component: Component) -> str:
    """The text of `model.py`: Triton wants a file, the class lives in the installed package."""
    return f"from {_PYTHON_CLASSES[component]} import TritonPythonModel  # noqa: F401\n"


def model_config(manifest: ModelManifest, component: Component, options: PublishOptions) -> ModelConfig:
    """The configuration of one component; nothing in it depends on where the repository lies."""
    if component is Component.DENOISER:
        return _denoiser(manifest, options)
    signature = manifest.signature(component)
    python = runs_python(component, options)
    max_batch = MAX_BATCH[component]
    return ModelConfig(
        name=triton_model_name(manifest.name, component),
        backend="python" if python else "",
        platform="" if python else "onnxruntime_onnx",
        max_batch_size=max_batch,
        inputs=signature.inputs,
        outputs=signature.outputs,
        instance=_KINDS[options.device],
        version=int(VERSION),
        batching=DynamicBatching(_QUEUE_DELAY_MICROSECONDS, max_batch * _WAITING_BATCHES),
        parameters=_runtime_parameters(options) if python else _onnxruntime_parameters(options),
    )


def _denoiser(manifest: ModelManifest, options: PublishOptions) -> ModelConfig:
    """The step engine batches for itself and answers more than once: no batch axis, decoupled.

    Its queue is its own too (`queue_images`), as Triton hands it requests at once.
    """
    conditions = tuple(
        TensorSpec(spec.name, spec.dtype, ("conditions", *spec.dims)) for spec in manifest.denoiser.inputs[2:]
    )
    return ModelConfig(
        name=triton_model_name(manifest.name, Component.DENOISER),
        backend="python",
        max_batch_size=0,
        inputs=(*denoise_wire.CONTROL_INPUTS, *conditions),
        outputs=denoise_wire.OUTPUTS,
        instance=_KINDS[options.device],
        version=int(VERSION),
        decoupled=True,
        parameters=(
            *_runtime_parameters(options),
            ("max_rows", str(options.max_rows)),
            ("queue_images", str(options.queue_images)),
            ("deterministic_rows", str(options.deterministic_rows)),
        ),
    )


def _runtime_parameters(options: PublishOptions) -> tuple[tuple[str, str], ...]:
    """What the Python models read: which runtime, on how many threads (0: as many as there are)."""
    return (("runtime", options.runtime.value), ("threads", str(options.threads)))


def _onnxruntime_parameters(options: PublishOptions) -> tuple[tuple[str, str], ...]:
    """Names are those of Triton's ONNX Runtime backend."""
    return (("intra_op_thread_count", str(options.threads)),) if options.threads else ()
