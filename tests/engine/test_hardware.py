"""Devices, number formats and savings of the torch runtime: the same pictures, by another way."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.errors import OutOfMemoryError, RuntimeUnavailableError
from engine.hardware.memory import within_memory
from engine.hardware.offload import offload
from engine.hardware.policy import TorchPlan, plan_for
from engine.hardware.prepare import prepare
from engine.hardware.rocm import amd_gpus, prepare_environment, recipe_of
from engine.modules import load_module
from engine.runtimes.torch_runtime import open_runtime
from engine.settings import RuntimeSettings
from families.catalog import ModelSource, load_source
from families.embedded import embedded_models
from families.manifest import Component
from families.stable_diffusion import FAMILY as STABLE_DIFFUSION
from families.torch_options import (
    AttentionSlicing,
    CompileMode,
    Offload,
    Switch,
    TorchDType,
    TorchOptions,
)
from tests.support.published import publish
from tests.support.tiny_model import write_tiny_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    return load_source(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="module")
def folders(source: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Component], Path]:
    root = tmp_path_factory.mktemp("repository")
    made = {part: publish(source, root, part, onnx=False) for part in (Component.DENOISER, Component.VAE_DECODER)}
    return made.__getitem__


def answer(source: ModelSource, folder: Path, component: Component, options: TorchOptions) -> torch.Tensor:
    runtime = open_runtime(folder, source.manifest, component, RuntimeSettings(threads=1, device="cpu", torch=options))
    drawn = torch.Generator().manual_seed(3)
    if component is Component.VAE_DECODER:
        inputs = [torch.randn(3, 4, 24, 16, generator=drawn)]
    else:
        sample, context = torch.randn(2, 4, 8, 8, generator=drawn), torch.randn(2, 16, 32, generator=drawn)
        inputs = [sample, torch.tensor([900.0, 41.0]), context]
    (output,) = runtime.run(inputs)
    return output


@pytest.mark.parametrize(
    ("component", "options", "tolerance"),
    [
        (Component.VAE_DECODER, TorchOptions(vae_slicing=Switch.ON), 1),
        (Component.VAE_DECODER, TorchOptions(dtype=TorchDType.BFLOAT16), 32),
        (Component.DENOISER, TorchOptions(attention_slicing=AttentionSlicing.AUTO), 1e-4),
        (Component.DENOISER, TorchOptions(attention_slicing=AttentionSlicing.MAX), 1e-4),
        (Component.DENOISER, TorchOptions(dtype=TorchDType.BFLOAT16), 0.1),
        (Component.DENOISER, TorchOptions(offload=Offload.SEQUENTIAL), 0),
    ],
)
def test_the_numbers_stay(
    source: ModelSource,
    folders: Callable[[Component], Path],
    component: Component,
    options: TorchOptions,
    tolerance: float,
) -> None:
    plain = answer(source, folders(component), component, TorchOptions())
    other = answer(source, folders(component), component, options)
    assert other.dtype is plain.dtype and other.shape == plain.shape
    difference = (other.float() - plain.float()).abs().max()
    assert difference <= tolerance


def test_tiles_are_blended() -> None:
    """A tile has its own mean and variance, so that colours shift a little where several make up a
    picture; one that fits into a tile is the same to the byte.
    """
    folder = embedded_models() / "wardrobe"
    encoder, whole, tiled = (
        load_module(STABLE_DIFFUSION, component, folder)
        for component in (Component.VAE_ENCODER, Component.VAE_DECODER, Component.VAE_DECODER)
    )
    tiled = prepare(tiled, TorchPlan(CPU, vae_tiling=True))
    down = torch.linspace(0, 255, 192)[:, None].expand(192, 160)
    across = torch.linspace(0, 255, 160)[None].expand(192, 160)
    latents = encoder(torch.stack([down, across, 255 - down], -1)[None].to(torch.uint8))
    seams = (whole(latents).float() - tiled(latents).float()).abs()
    assert 0 < seams.mean() < 8, "of 255"
    assert torch.equal(whole(latents[..., :16, :16]), tiled(latents[..., :16, :16]))


class Spy(nn.Module):
    """Notes where its weight is while it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2), requires_grad=False)
        self.seen: list[str] = []
        self.fails = False

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        self.seen.append(self.weight.device.type)
        if self.fails:
            raise RuntimeError("out of memory")
        return value * self.weight


@pytest.mark.parametrize(("kind", "second"), [(Offload.MODEL, "meta"), (Offload.SEQUENTIAL, "cpu")])
def test_weights_are_on_the_device_only_while_they_are_used(kind: Offload, second: str) -> None:
    spies = (Spy(), Spy())
    layers = nn.Sequential(*spies)
    elsewhere: list[str] = []
    spies[0].register_forward_hook(lambda *_: elsewhere.append(spies[1].weight.device.type))
    offload(layers, torch.device("meta"), kind)
    for _ in range(2):
        assert layers(torch.ones(2, device="meta")).device.type == "meta"
    assert [spy.seen for spy in spies] == [["meta", "meta"]] * 2
    assert elsewhere == [second] * 2
    spies[1].fails = True
    with pytest.raises(RuntimeError):
        layers(torch.ones(2, device="meta"))
    assert [spy.weight.device.type for spy in spies] == ["cpu", "cpu"]
    assert spies[1].weight.tolist() == [1.0, 1.0]


def test_compiled_is_the_same() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 4), nn.GELU())
    value = torch.randn(3, 4)
    plain = module(value)
    compiled = prepare(module, TorchPlan(CPU, compile=CompileMode.DEFAULT))
    assert compiled._compiled_call_impl is not None
    with torch._dynamo.config.patch(suppress_errors=False), torch.no_grad():
        torch.testing.assert_close(compiled(value), plain, rtol=1e-4, atol=1e-5)


def test_the_plan_of_a_cpu() -> None:
    plan = plan_for(Component.DENOISER, "cpu", TorchOptions())
    assert plan == TorchPlan(CPU)
    on = TorchOptions(vae_slicing=Switch.ON, vae_tiling=Switch.ON, attention_slicing=AttentionSlicing.MAX)
    assert plan_for(Component.VAE_DECODER, "cpu", on) == TorchPlan(CPU, vae_slicing=True, vae_tiling=True)
    assert plan_for(Component.DENOISER, "cpu", on) == TorchPlan(CPU, attention_slicing=AttentionSlicing.MAX)
    assert plan_for(Component.DENOISER, "cpu", TorchOptions(offload=Offload.MODEL)).offload is Offload.NONE
    with pytest.raises(RuntimeUnavailableError, match=r"float16 needs a GPU.*float32 and bfloat16"):
        plan_for(Component.DENOISER, "cpu", TorchOptions(dtype=TorchDType.FLOAT16))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(RuntimeUnavailableError, match="'cuda:3' was asked for"):
        plan_for(Component.DENOISER, "cuda:3", TorchOptions())


@pytest.fixture
def nvidia(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)


def test_the_plan_of_a_gpu(nvidia: None) -> None:
    assert plan_for(Component.DENOISER, "auto", TorchOptions()).dtype is torch.bfloat16
    assert plan_for(Component.VAE_DECODER, "auto", TorchOptions()).dtype is torch.float32
    assert plan_for(Component.VAE_DECODER, "auto", TorchOptions(dtype=TorchDType.FLOAT16)).dtype is torch.float16
    parked = TorchOptions(offload=Offload.SEQUENTIAL)
    assert plan_for(Component.DENOISER, "cuda:0", parked).offload is Offload.SEQUENTIAL
    both = TorchOptions(offload=Offload.MODEL, compile=CompileMode.DEFAULT)
    with pytest.raises(RuntimeUnavailableError, match="exclude each other"):
        plan_for(Component.DENOISER, "cuda", both)


def write_node(nodes: Path, number: int, target: int) -> None:
    folder = nodes / str(number)
    folder.mkdir(parents=True)
    (folder / "properties").write_text(f"cpu_cores_count 0\nsimd_count 24\ngfx_target_version {target}\n")


def test_a_phoenix_apu_gets_its_recipe(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, nvidia: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_node(tmp_path, 0, 0)
    write_node(tmp_path, 1, 110003)
    assert amd_gpus(tmp_path) == ("gfx1103",)
    environment = {"PYTORCH_ROCM_ARCH": "mine"}
    with caplog.at_level(logging.INFO):
        prepare_environment(environment, tmp_path)
    assert environment == {
        "PYTORCH_ROCM_ARCH": "mine",
        "HSA_OVERRIDE_GFX_VERSION": "11.0.0",
        "TORCH_ROCM_AOTRITON_ENABLE_EXPERIMENTAL": "1",
    }
    assert "AMD GPU gfx1103" in caplog.text and "gfx1100" in caplog.text

    monkeypatch.setattr(torch.version, "hip", "6.4")
    monkeypatch.setattr("engine.hardware.policy.amd_gpus", lambda: ("gfx1103",))
    assert plan_for(Component.DENOISER, "auto", TorchOptions()) == TorchPlan(
        torch.device("cuda"), attention_slicing=AttentionSlicing.AUTO
    )
    decoder = plan_for(Component.VAE_DECODER, "auto", TorchOptions(vae_slicing=Switch.OFF))
    assert decoder == TorchPlan(torch.device("cuda")), "what was asked for comes first"


def test_other_machines_are_left_alone(tmp_path: Path) -> None:
    write_node(tmp_path, 1, 90010)
    assert amd_gpus(tmp_path) == ("gfx90a",) and recipe_of(("gfx90a",)) is None
    environment: dict[str, str] = {}
    prepare_environment(environment, tmp_path)
    prepare_environment(environment, tmp_path / "nothing")
    assert environment == {}


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer"),
    ],
)
def test_out_of_memory_is_told_apart(error: Exception) -> None:
    def call() -> None:
        raise error

    with pytest.raises(OutOfMemoryError, match=r"^out of memory: ") as caught:
        within_memory(call)
    assert caught.value.__context__ is None, "nothing may hold on to what the call held"


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        within_memory(lambda: 1 // 0)


def test_a_call_that_needs_more_memory_than_there_is(source: ModelSource, folders: Callable[[Component], Path]) -> None:
    """A real allocator's refusal: the decoder is asked for a picture of many terabytes; the next one works."""
    folder = folders(Component.VAE_DECODER)
    settings = RuntimeSettings(threads=1, device="cpu")
    runtime = open_runtime(folder, source.manifest, Component.VAE_DECODER, settings)
    with pytest.raises(OutOfMemoryError):
        runtime.run([torch.zeros(1, 4, 1, 1).expand(1, 4, 1 << 20, 1 << 20)])
    assert runtime.run([torch.zeros(1, 4, 8, 8)])[0].shape == (1, 64, 64, 3)


def test_options_as_text() -> None:
    options = TorchOptions(dtype=TorchDType.BFLOAT16, vae_tiling=Switch.ON, compile=CompileMode.REDUCE_OVERHEAD)
    assert TorchOptions.parse(dict(options.dump())) == options
    assert TorchOptions.parse({}) == TorchOptions() and TorchOptions().dump() == ()
    with pytest.raises(ValueError, match=r"unknown torch option 'dtyp'; known are dtype, vae_slicing"):
        TorchOptions.parse({"dtyp": "float32"})
    with pytest.raises(ValueError, match=r"'dtype' must be one of auto, float32, bfloat16, float16, not 'int8'"):
        TorchOptions.parse({"dtype": "int8"})
