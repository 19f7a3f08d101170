"""GGUF: every readable type, kept in blocks by the torch runtime and turned into numbers elsewhere."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file
from torch import nn

from engine.checkpoints import quantised
from engine.checkpoints.quantised import QuantisedLinear, QuantisedTensor, dequantise
from engine.modules import load_module, load_source_module
from engine.open import open_component
from engine.runtimes import Runtime
from engine.settings import RuntimeSettings
from export.sources import published_weights
from export.verification.threads import torch_threads
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.manifest_json import dump_manifest
from families.repository import MANIFEST_FILE, WEIGHTS_FOLDER
from families.sources.ggml import READABLE_TYPES, GgmlType
from families.sources.identify import identify
from tests.support.checkpoints import ldm_unet, prefixed, tiny_unet_state, write_gguf, write_single_file
from tests.support.tiny_model import TEXT_LENGTH, TEXT_WIDTH

QUANTISED = [kind for kind in READABLE_TYPES.values() if kind.values > 1]
# What Q4_0 and its like may cost on random weights, measured: 2.6 %, 1.2 %, 0.17 %.
ALLOWED = {Kind.Q4_0: 0.05, Kind.Q4_1: 0.05, Kind.Q5_0: 0.025, Kind.Q5_1: 0.025, Kind.Q8_0: 0.004}


def _blocks(kind: GgmlType, count: int) -> np.ndarray:
    """Random blocks, as any bits are valid, with the scales made small numbers; int8 scales stay as they fall."""
    made = np.random.default_rng(kind.number).integers(0, 256, (count, kind.bytes), np.uint8)
    for place in _SCALES[kind.name]:
        made[:, place : place + 2] = np.linspace(0.01, 0.02, count).astype(np.float16)[:, None].view(np.uint8)
    return made


# Where a block keeps its float16 numbers.
_SCALES = {
    "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,),
    "Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,),
}  # fmt: skip


@pytest.mark.parametrize("kind", QUANTISED, ids=lambda kind: kind.name)
def test_numbers_are_those_of_ggufs_own_library(kind: GgmlType) -> None:
    blocks = _blocks(kind, 6)
    expected = gguf.quants.dequantize(blocks, Kind(kind.number)).reshape(3, -1)
    got = dequantise(torch.from_numpy(blocks), kind, torch.Size(expected.shape))
    assert np.isfinite(expected).all()
    assert np.abs(expected).max() > 0
    np.testing.assert_array_equal(got.numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_linear_layer_computes_from_its_blocks(dtype: torch.dtype) -> None:
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    blocks = torch.from_numpy(gguf.quants.quantize(weight.numpy(), Kind.Q8_0)).reshape(-1, 34)
    stored = QuantisedTensor(blocks, READABLE_TYPES[Kind.Q8_0], weight.shape)
    layer, bias = QuantisedLinear(stored, torch.ones(8, dtype=dtype)), torch.ones(8, dtype=dtype)
    inputs = torch.randn(3, 64, generator=torch.Generator().manual_seed(1)).to(dtype)
    expected = nn.functional.linear(inputs, stored.dequantise().to(dtype), bias)
    assert torch.equal(layer(inputs), expected)
    assert sum(buffer.numel() * buffer.element_size() for buffer in (layer.blocks,)) < weight.numel() * 2


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The modules are tiny: threads would only wait for each other."""
    with torch_threads(1):
        yield


@pytest.fixture(scope="module")
def folder(tiny: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose shared side folder completes every GGUF in it by all but the weights of the UNet."""
    made = tmp_path_factory.mktemp("gguf")
    shutil.copytree(tiny.folder, made / "shared.config")
    (made / "shared.config" / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    return made


@pytest.fixture(scope="module")
def inputs() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    return torch.randn(3, 4, 8, 8), torch.tensor([1.0, 400.0, 990.0]), torch.randn(3, TEXT_LENGTH, TEXT_WIDTH)


def _run(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    with torch.inference_mode():
        output: torch.Tensor = module(*inputs)
    return output


@pytest.mark.parametrize("kind", [*ALLOWED, Kind.F16, Kind.BF16], ids=lambda kind: kind.name)
def test_a_quantised_unet_is_close_to_the_original(
    kind: Kind, tiny: ModelSource, folder: Path, inputs: tuple[torch.Tensor, ...]
) -> None:
    source = load_source(write_gguf(folder / f"{kind.name}.gguf", tiny_unet_state(tiny.folder), kind))
    original = _run(load_module("stable-diffusion", Component.DENOISER, tiny.folder), inputs)
    numbers = load_source_module(source, Component.DENOISER)
    blocks = load_source_module(source, Component.DENOISER, keep_quantised=True)
    kept = [layer for layer in blocks.modules() if isinstance(layer, QuantisedLinear)]
    assert bool(kept) == (kind in ALLOWED)
    assert not any(isinstance(layer, QuantisedLinear) for layer in numbers.modules())
    dequantised = _run(numbers, inputs)
    assert torch.equal(_run(blocks, inputs), dequantised)
    error = float((dequantised - original).norm() / original.norm())
    assert 0 < error < ALLOWED.get(kind, 0.003)


@pytest.mark.parametrize("kind", [kind for kind in QUANTISED if kind.name.endswith("_K")], ids=lambda kind: kind.name)
def test_k_quants_in_a_unet(kind: GgmlType, folder: Path, tmp_path: Path, inputs: tuple[torch.Tensor, ...]) -> None:
    """No library here writes K-quants, so blocks are drawn, and the float module gets what gguf says they mean."""
    name = "middle_block.1.transformer_blocks.0.ff.net.0.proj.weight"
    wide = _wide_unet(tmp_path / "shared.config", folder)
    blocks = _blocks(kind, wide[name].numel() // kind.values)
    wide[name] = torch.from_numpy(gguf.quants.dequantize(blocks, Kind(kind.number))).reshape(wide[name].shape) / 4
    blocks = _scaled(kind, blocks, 0.25)
    path = _write_with_blocks(tmp_path / "k.gguf", wide, {name: (blocks, Kind(kind.number))})
    module = load_source_module(load_source(path), Component.DENOISER, keep_quantised=True)
    (layer,) = (layer for layer in module.modules() if isinstance(layer, QuantisedLinear))
    assert layer.kind is kind
    float_path = _write_with_blocks(tmp_path / "f.gguf", wide, {})
    plain = load_source_module(load_source(float_path), Component.DENOISER)
    context = torch.nn.functional.pad(inputs[2], (0, 256 - TEXT_WIDTH))
    ours, theirs = (_run(each, (*inputs[:2], context)) for each in (module, plain))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def _scaled(kind: GgmlType, blocks: np.ndarray, factor: float) -> np.ndarray:
    """The same blocks with all their float16 numbers times a power of two, which is exact."""
    made = blocks.copy()
    for place in _SCALES[kind.name]:
        numbers = made[:, place : place + 2].copy().view(np.float16) * np.float16(factor)
        made[:, place : place + 2] = numbers.view(np.uint8)
    return made


def _wide_unet(side: Path, folder: Path) -> dict[str, torch.Tensor]:
    """A UNet whose middle is 256 wide, so that rows fill K-quants' blocks; `side` is made to describe it."""
    shutil.copytree(folder / "shared.config", side)
    config = json.loads((side / "unet" / "config.json").read_text())
    config |= {"block_out_channels": [16, 256], "cross_attention_dim": 256}
    (side / "unet" / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    return ldm_unet(UNet2DConditionModel.from_config(config).state_dict(), 1, (True, False))


def _write_with_blocks(path: Path, state: dict[str, torch.Tensor], blocks: dict[str, tuple[np.ndarray, Kind]]) -> Path:
    writer = gguf.GGUFWriter(path, arch="sd1")
    for name, tensor in state.items():
        if name in blocks:
            raw, kind = blocks[name]
            writer.add_tensor(name, raw.reshape(tensor.shape[0], -1), raw_dtype=kind)
        else:
            writer.add_tensor(name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_whole_model_in_one_gguf(tiny: ModelSource, folder: Path) -> None:
    """Some tools write all parts, under the names of a safetensors checkpoint; convolutions stay numbers."""
    single = load_file(write_single_file(tiny.folder, folder / "any" / "w.safetensors"))
    path = write_gguf(folder / "whole.gguf", {name: tensor.float() for name, tensor in single.items()}, Kind.Q8_0)
    assert {part.name for part in identify(path).parts} == {"unet", "vae", "text_encoder"}
    source = load_source(path)
    for component in Component:
        module = load_source_module(source, component, keep_quantised=True)
        kept = any(isinstance(layer, QuantisedLinear) for layer in module.modules())
        # The VAE's attention is too narrow for a block.
        assert kept == (component not in {Component.VAE_ENCODER, Component.VAE_DECODER})
        assert source.weights(component)[0].files == (path,)


def test_a_prefix_makes_no_difference(tiny: ModelSource, folder: Path, inputs: tuple[torch.Tensor, ...]) -> None:
    state = tiny_unet_state(tiny.folder)
    bare = load_source(write_gguf(folder / "bare.gguf", state, Kind.Q8_0))
    full = load_source(write_gguf(folder / "full.gguf", prefixed("model.diffusion_model.", state), Kind.Q8_0))
    first, second = (_run(load_source_module(source, Component.DENOISER), inputs) for source in (bare, full))
    assert torch.equal(first, second)


@pytest.fixture(scope="module")
def runtime(tiny: ModelSource, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """The torch runtime on a published GGUF."""
    source = load_source(write_gguf(folder / "served.gguf", tiny_unet_state(tiny.folder), Kind.Q8_0))
    version = tmp_path_factory.mktemp("repository") / "served.denoiser" / "1"
    for path, place in published_weights(source, Component.DENOISER):
        (version / WEIGHTS_FOLDER / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, version / WEIGHTS_FOLDER / place)
    (version / MANIFEST_FILE).write_text(dump_manifest(source.manifest))
    return open_component(version, Component.DENOISER, "torch", RuntimeSettings(threads=1, device="cpu"))


def test_the_torch_runtime_serves_blocks(runtime: Runtime, tiny: ModelSource, inputs: tuple[torch.Tensor, ...]) -> None:
    (output,) = runtime.run(inputs)
    original = _run(load_module("stable-diffusion", Component.DENOISER, tiny.folder), inputs)
    assert 0 < float((output - original).norm() / original.norm()) < ALLOWED[Kind.Q8_0]


def test_kernels_are_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers decides when it is imported; whatever the environment says, ours comes first."""
    monkeypatch.setenv("DIFFUSERS_GGUF_CUDA_KERNELS", "true")
    quantised._functions.__wrapped__()
    assert os.environ["DIFFUSERS_GGUF_CUDA_KERNELS"] == "false"
