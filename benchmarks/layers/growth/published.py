"""Models as the children find them: published for a runtime, with the transformer in whatever numbers are meant."""

import shutil
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from export.build import Builder
from export.publishing.options import PublishOptions, Runtime
from export.publishing.publication import Publication
from export.publishing.publish import publish
from families.catalog import load_source
from families.manifest import Component
from families.torch_options import TorchDType

FLOAT32, BFLOAT16 = "float32", "bfloat16"
_FLOATS = {FLOAT32: torch.float32, BFLOAT16: torch.bfloat16}
_BLOCKS = ("Q8_0", "Q5_0", "Q4_0")
NUMBERS = (FLOAT32, BFLOAT16, *_BLOCKS)
"""float32, against which the others are held, is first."""


def computes_in(numbers: str) -> TorchDType:
    """Blocks are turned into float32, layer by layer."""
    return TorchDType.BFLOAT16 if numbers == BFLOAT16 else TorchDType.FLOAT32


def publish_model(folder: Path, name: str, runtime: Runtime, repository: Path, built: Path) -> None:
    """The model in `folder` as `name`; graphs are those that were built below `built`, or are built there now."""
    source = load_source(folder, name)
    graphs: dict[Component, Path | None] = dict.fromkeys(source.manifest.components)
    if runtime is Runtime.ONNXRUNTIME:
        graphs = {artefact.component: artefact.folder for artefact in Builder(built).build(load_source(folder))}
    options = PublishOptions(runtime=runtime, threads=0)
    publish([Publication(source, part, options, graph, name) for part, graph in graphs.items()], repository)


def with_numbers(folder: Path, numbers: str, made: Path) -> Path:
    """A copy of the model's folder whose transformer is stored in `numbers`. Returns that one file."""
    files = load_source(folder).weights(Component.DENOISER)[0].files
    state = {name: tensor for file in files for name, tensor in load_file(file).items()}
    shutil.copytree(folder, made)
    for file in files:
        (made / file.relative_to(folder)).unlink()
    if numbers in _FLOATS:
        path = made / "transformer" / "diffusion_pytorch_model.safetensors"
        save_file({name: tensor.to(_FLOATS[numbers]).contiguous() for name, tensor in state.items()}, path)
        return path
    return _write_blocks(made / "transformer" / "transformer.gguf", state, gguf.GGMLQuantizationType[numbers])


def _write_blocks(path: Path, state: dict[str, torch.Tensor], kind: gguf.GGMLQuantizationType) -> Path:
    """Matrices whose rows fill blocks as `kind`, all else as it is usual: vectors as F32, the rest as F16."""
    kinds, (values, _) = gguf.GGMLQuantizationType, gguf.GGML_QUANT_SIZES[kind]
    writer = gguf.GGUFWriter(path, arch="qwen_image")
    for name, tensor in state.items():
        array = np.ascontiguousarray(tensor.float().numpy())
        whole = kinds.F32 if array.ndim < 2 else kinds.F16
        chosen = kind if array.ndim == 2 and array.shape[1] % values == 0 else whole
        writer.add_tensor(name, gguf.quants.quantize(array, chosen), raw_dtype=chosen)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
