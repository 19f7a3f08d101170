"""What `benchmarks.checks_memory` runs in processes of its own."""

import json
import shutil
import sys
import time
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from benchmarks.peak import peak_bytes
from engine.modules import load_source_module
from export.graph.onnx_graph import GraphMetadata, write_onnx
from export.lowering.precision import TORCH_TYPES
from export.recipe import Precision
from export.verification.samples import ReferenceSamples
from export.verification.tolerances import tolerance_for
from export.verification.verify import verify_onnx
from families.catalog import ModelSource, load_source
from families.embedded import embedded_models
from families.manifest import Component
from families.repository import ONNX_FILE

_MODEL = "wardrobe"
_TINY = 32
_WEIGHTS = "diffusion_pytorch_model.safetensors"
_TYPES = {"fp32": torch.float32, "fp16": torch.float16}


def write_model(folder: Path, stored: torch.dtype, width: int) -> None:
    """The embedded model with a denoiser of random weights, whose layers are up to `width` wide."""
    shutil.copytree(embedded_models() / _MODEL, folder, ignore=shutil.ignore_patterns(_WEIGHTS))
    for part in ("vae", "text_encoder"):
        for path in (embedded_models() / _MODEL / part).glob("*.safetensors"):
            shutil.copy2(path, folder / part)
    config = UNet2DConditionModel.load_config(folder / "unet")
    sides = {"block_out_channels": (width // 2, width, width), "attention_head_dim": 2}
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config({**config, **sides})
    unet.save_config(folder / "unet")
    generator = torch.Generator().manual_seed(0)
    state = {
        name: torch.empty(tensor.shape).uniform_(-0.01, 0.01, generator=generator).to(stored)
        for name, tensor in unet.state_dict().items()
    }
    save_file(state, folder / "unet" / _WEIGHTS)


def export(source: ModelSource, precision: Precision, folder: Path) -> None:
    """The denoiser's graph, as the build writes it."""
    folder.mkdir()
    module = load_source_module(source, Component.DENOISER, TORCH_TYPES[precision])
    metadata = GraphMetadata("m", "denoiser", "", "")
    write_onnx(module, source.manifest.denoiser, metadata, folder / ONNX_FILE, precision=precision)


def check(source: ModelSource, precision: Precision, folder: Path) -> None:
    """All checks of the graph. Raises RuntimeError where it did not run: then nothing was measured."""
    tolerance = tolerance_for(Component.DENOISER, precision)
    report = verify_onnx(source, Component.DENOISER, folder / ONNX_FILE, ReferenceSamples(source), tolerance)
    if any(found.sample == "load" for found in report.checks):
        raise RuntimeError(str(report.failures))


def main(step: str, folder: Path, stored: str, precision: Precision, width: int) -> None:
    """One step of a measurement."""
    widths = {"tiny": _TINY, "big": width}
    if step == "weights":
        for name, wide in widths.items():
            write_model(folder / name, _TYPES[stored], wide)
        return
    sources = {name: load_source(folder / name) for name in widths}
    if step == "export":
        for name, source in sources.items():
            export(source, precision, folder / f"{name}-onnx")
        return
    check(sources["tiny"], precision, folder / "tiny-onnx")
    base, began = peak_bytes(), time.monotonic()
    check(sources["big"], precision, folder / "big-onnx")
    read = (folder / "big" / "unet" / _WEIGHTS).stat().st_size
    result = {
        "parameters": read // _TYPES[stored].itemsize,
        "weights": 4 * read // _TYPES[stored].itemsize,
        "base": base,
        "added": peak_bytes() - base,
        "seconds": round(time.monotonic() - began, 1),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Precision(sys.argv[4]), int(sys.argv[5]))
