"""What `benchmarks.export_memory` runs in processes of its own."""

import json
import sys
import time
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from benchmarks.peak import peak_bytes
from engine.modules import load_module
from export.graph.onnx_graph import GraphMetadata, write_onnx
from export.lowering.precision import TORCH_TYPES
from export.recipe import Precision
from families.manifest import Component
from families.stable_diffusion import FAMILY
from families.tensors import ComponentSignature, DType, TensorSpec

_WEIGHTS = "diffusion_pytorch_model.safetensors"
_CONTEXT = 64
_SIGNATURE = ComponentSignature(
    (
        TensorSpec("sample", DType.FP32, (4, "latent_height", "latent_width")),
        TensorSpec("timestep", DType.FP32, ()),
        TensorSpec("context", DType.FP32, (16, _CONTEXT)),
    ),
    (TensorSpec("prediction", DType.FP32, (4, "latent_height", "latent_width")),),
)
_TYPES = {"fp32": torch.float32, "fp16": torch.float16}


def _unet(width: int) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        block_out_channels=(width // 4, width),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=_CONTEXT,
        attention_head_dim=8,
        norm_num_groups=8,
    )


def write_weights(folder: Path, stored: torch.dtype, width: int) -> None:
    """`<folder>/unet` as diffusers saves it, with random weights."""
    with torch.device("meta"):
        unet = _unet(width)
    (folder / "unet").mkdir(parents=True)
    unet.save_config(folder / "unet")
    shapes = {name: tensor.shape for name, tensor in unet.state_dict().items()}
    state = {name: torch.empty(shape, dtype=stored).uniform_(-0.01, 0.01) for name, shape in shapes.items()}
    save_file(state, folder / "unet" / _WEIGHTS)


def export(folder: Path, precision: Precision, out: Path) -> None:
    """Load the denoiser of `folder` and write its graph, as the build does."""
    module = load_module(FAMILY, Component.DENOISER, folder, TORCH_TYPES[precision])
    write_onnx(module, _SIGNATURE, GraphMetadata("m", "denoiser", "", ""), out, precision=precision)


def main(step: str, folder: Path, stored: str, precision: Precision, width: int) -> None:
    """One step of a measurement."""
    if step == "weights":
        write_weights(folder / "tiny", _TYPES[stored], 32)
        write_weights(folder / "big", _TYPES[stored], width)
        return
    export(folder / "tiny", precision, folder / "tiny.onnx")
    base, began = peak_bytes(), time.monotonic()
    export(folder / "big", precision, folder / "big.onnx")
    read = (folder / "big" / "unet" / _WEIGHTS).stat().st_size
    written = sum(path.stat().st_size for path in folder.glob("big.onnx*"))
    result = {
        "parameters": read // _TYPES[stored].itemsize,
        "weights": max(read, written),
        "written": written,
        "base": base,
        "added": peak_bytes() - base,
        "seconds": round(time.monotonic() - began, 1),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Precision(sys.argv[4]), int(sys.argv[5]))
