"""The steps of one item, each in a process of its own, so that its peak of memory is its own."""

# ruff: noqa: PLC0415 - a step's process loads only what it needs, as its memory is measured

import logging
import resource
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from benchmarks.full_size.items import Item
from benchmarks.full_size.outcome import EngineStep, ErrorStep, ExportStep
from benchmarks.full_size.weights import SEED, with_random_weights
from benchmarks.peak import peak_bytes
from export.lowering.precision import TORCH_TYPES
from families.tensors import Array, DType, TensorSpec

ONNX = "model.onnx"
_REFERENCE = "reference.npy"
_ROWS = 2


def export(item: Item, folder: Path) -> ExportStep:
    """Weights to `model.onnx`."""
    from export.artefacts.key import Dialect
    from export.graph.onnx_graph import GraphMetadata, write_onnx

    began = time.monotonic()
    module = with_random_weights(item.make, TORCH_TYPES[item.precision])
    weights = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    parameters = sum(parameter.numel() for parameter in module.parameters())
    loaded = time.monotonic()
    metadata = GraphMetadata(item.key, item.key, "random", "full size", Dialect.PORTABLE)
    write_onnx(module, item.signature, metadata, folder / ONNX, precision=item.precision)
    done = time.monotonic()
    return ExportStep(
        parameters=parameters,
        weight_bytes=weights,
        fill_seconds=round(loaded - began, 1),
        seconds=round(done - loaded, 1),
        cpu_seconds=_cpu_seconds(),
        peak_bytes=peak_bytes(),
        onnx_bytes=sum(path.stat().st_size for path in folder.glob(f"{ONNX}*")),
        nodes=_nodes(folder / ONNX),
    )


def reference(item: Item, folder: Path) -> None:
    """torch's own answer in float32, from the same (rounded) weights."""
    module = with_random_weights(item.make, TORCH_TYPES[item.precision]).float()
    with torch.inference_mode():
        output = module(*(torch.from_numpy(array) for array in _inputs(item)))
    np.save(folder / _REFERENCE, output.numpy())


def error(item: Item, folder: Path) -> ErrorStep:
    """ONNX Runtime's answer against torch's."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    # Constants folded from float16 to float32 would be held twice.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = ort.InferenceSession(str(folder / ONNX), options, providers=["CPUExecutionProvider"])
    feed = {spec.name: array for spec, array in zip(item.signature.inputs, _inputs(item), strict=True)}
    began = time.monotonic()
    got = session.run(None, feed)[0].astype(np.float64)
    seconds = time.monotonic() - began
    wanted = np.load(folder / _REFERENCE).astype(np.float64)
    difference = np.abs(got - wanted)
    norm = float(np.linalg.norm(wanted))
    return ErrorStep(
        shapes=tuple(tuple(array.shape) for array in feed.values()),
        largest=float(difference.max()),
        relative=float(np.linalg.norm(got - wanted) / norm),
        scale=float(np.abs(wanted).max()),
        finite=bool(np.isfinite(got).all()),
        seconds=round(seconds, 1),
        cpu_seconds=_cpu_seconds(),
        peak_bytes=peak_bytes(),
    )


def engine(item: Item, folder: Path) -> EngineStep:
    """`model.plan` by TensorRT-RTX, for the most common card of its time."""
    from export.recipe import EngineFlags, Target
    from export.tensorrt.builder import EngineRequest, build_engine
    from export.tensorrt.profiles import resolve

    assert item.ranges is not None
    request = EngineRequest(
        Target.TENSORRT_RTX,
        folder / ONNX,
        (resolve(item.signature, item.ranges),),
        EngineFlags(compute_capabilities=("8.9",)),
    )
    began = time.monotonic()
    built = build_engine(request, folder)
    return EngineStep(
        library=f"{built.library} {built.version}",
        compute_capabilities=built.compute_capabilities,
        profile=tuple(f"{name} {limits.min}-{limits.max}" for name, limits in item.ranges.items()),
        layers=built.layers,
        plan_bytes=built.plan_bytes,
        seconds=round(time.monotonic() - began, 1),
        cpu_seconds=_cpu_seconds(),
        peak_bytes=peak_bytes(),
    )


def _inputs(item: Item) -> list[Array]:
    """Equal in every process."""
    generator = np.random.default_rng(SEED)
    return [_input(spec, item.sizes, generator) for spec in item.signature.inputs]


def _input(spec: TensorSpec, sizes: dict[str, int], generator: np.random.Generator) -> Array:
    shape = (_ROWS, *(sizes[dim] if isinstance(dim, str) else dim for dim in spec.dims))
    if spec.dtype is DType.INT64:
        return generator.integers(0, 2 if not spec.dims else 40_000, shape, dtype=np.int64)
    if spec.dtype is DType.BOOL:
        mask = np.ones(shape, np.bool_)
        mask[1:, shape[1] // 2 :] = False  # a shorter prompt
        return mask
    if spec.name == "timestep":
        return np.linspace(0.9, 0.3, _ROWS, dtype=np.float32) * (1000 if "latent_height" in sizes else 1)
    if spec.name.endswith(("_cos", "_sin")):
        angles: Array = np.linspace(0, 6, int(np.prod(shape)), dtype=np.float32).reshape(shape)
        turned: Array = np.cos(angles) if spec.name.endswith("_cos") else np.sin(angles)
        return turned
    return generator.standard_normal(shape, dtype=np.float32)


def _nodes(path: Path) -> int:
    import onnx

    return len(onnx.load(str(path), load_external_data=False).graph.node)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return round(usage.ru_utime + usage.ru_stime, 1)


def quiet_logs(names: Iterable[str] = ("torch.onnx", "onnxscript", "engine")) -> None:
    """Libraries' notices stay out of the report."""
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
