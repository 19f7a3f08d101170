"""Rows with adapters of their own: nobody meets another's, nothing stays, and the memory for them is bounded."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import AdapterError, InvalidRequestError
from engine.lora.layers import AdaptableLayers, adaptable_layers
from engine.lora.merge import merge_adapter
from engine.lora.store import AdapterStore
from engine.modules import load_component
from engine.request import DenoiseRequest
from engine.runtimes import open_runtime
from engine.runtimes.adapters import RowAdapters, acting_adapters
from engine.runtimes.torch_runtime import TorchRuntime
from engine.step import StepEngine, open_step_engine
from families.catalog import ModelSource, load_source
from families.lora.errors import LoraError
from families.lora.keys import LoraPart
from families.lora.use import LoraUse
from families.manifest import Component
from tests.engine.conftest import SETTINGS, Recorder, request_of, run
from tests.support.published import publish
from tests.support.tiny_lora import attention, everything, write_kohya, write_peft
from tests.support.tiny_model import write_tiny_model

SETS = (
    (),
    (LoraUse("style", 0.8),),
    (LoraUse("subject", -0.5),),
    (LoraUse("subject", 0.7), LoraUse("style", 0.4)),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    folder = write_tiny_model(tmp_path_factory.mktemp("lora") / "adapted")
    loras = folder / "loras"
    write_kohya(folder, loras / "style.safetensors", parts=("unet",), chosen=everything, seed=1)
    write_peft(folder, loras / "subject.safetensors", parts=("unet",), chosen=attention, seed=2, alpha=None)
    return load_source(folder)


@pytest.fixture(scope="module")
def version(model: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(model, tmp_path_factory.mktemp("repository"), Component.DENOISER, onnx=False)


@pytest.fixture(scope="module")
def adapted(version: Path) -> Iterator[StepEngine]:
    opened = open_step_engine(version, "torch", SETTINGS)
    yield opened
    opened.close()


@pytest.fixture
def layers(model: ModelSource) -> AdaptableLayers:
    loaded = load_component(model.manifest.family, Component.DENOISER, model.folder)
    return adaptable_layers(loaded.module, loaded.parts)


def crowd(engine: StepEngine, requests: Sequence[DenoiseRequest]) -> list[torch.Tensor]:
    recorders = [Recorder() for _ in requests]
    for request, recorder in zip(requests, recorders, strict=True):
        engine.submit(request, recorder)
    return [recorder.result() for recorder in recorders]


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_crowd_of_mixed_adapters_gets_what_each_gets_alone(adapted: StepEngine, deterministic: bool) -> None:
    requests = [
        replace(
            request_of((at,), prompt=at % 3, steps=2 + at % 3, deterministic=deterministic), loras=SETS[at % len(SETS)]
        )
        for at in range(20)
    ]
    alone = [run(adapted, request) for request in requests]
    together = crowd(adapted, requests)
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other) if deterministic else torch.allclose(one, other, atol=1e-4)


def test_a_then_b_then_a(adapted: StepEngine) -> None:
    requests = [replace(request_of(), loras=loras) for loras in SETS]
    first = [run(adapted, request) for request in requests]
    again = [run(adapted, request) for request in reversed(requests)][::-1]
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other)
    for at, one in enumerate(first):
        assert all((one - other).abs().max() > 0.1 for other in first[at + 1 :])


@pytest.mark.parametrize(
    ("loras", "message"),
    [
        ((LoraUse("../style", 1.0),), "unknown LoRA '../style'; this model has style, subject"),
        ((LoraUse("style", 1.0), LoraUse("style", 0.5)), "named once"),
        ((LoraUse("style", math.nan),), "finite"),
    ],
)
def test_requests_that_cannot_be_served(loras: tuple[LoraUse, ...], message: str, adapted: StepEngine) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        adapted.submit(replace(request_of(), loras=loras), Recorder())


def test_compiled_graphs_say_what_to_do(published: Path) -> None:
    engine = open_step_engine(published, "onnxruntime", SETTINGS)
    try:
        with pytest.raises(AdapterError, match=r"takes no LoRA by request: .*--runtime torch.*--recipe"):
            engine.submit(replace(request_of(), loras=SETS[1]), Recorder())
    finally:
        engine.close()


def test_the_least_recently_used_leaves(version: Path, layers: AdaptableLayers) -> None:
    folder, cpu = version / "loras", torch.device("cpu")
    sizes = [AdapterStore(folder, layers, cpu, 1 << 30).get(name).nbytes for name in ("style", "subject")]
    roomy, tight = AdapterStore(folder, layers, cpu, sum(sizes)), AdapterStore(folder, layers, cpu, sum(sizes) - 1)
    for store in (roomy, tight):
        for name in ("style", "subject", "style"):
            store.get(name)
    assert roomy.kept == ("subject", "style")
    assert tight.kept == ("style",)
    assert AdapterStore(folder, layers, cpu, 0).get("style").nbytes == sizes[0]


def test_merged_weights_answer_as_adapters_beside_them(model: ModelSource, version: Path) -> None:
    loaded = load_component(model.manifest.family, Component.DENOISER, model.folder)
    runtime = open_runtime("torch", version, model.manifest, Component.DENOISER, SETTINGS.runtime)
    inputs = (
        torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1)),
        torch.tensor([500.0, 20.0]),
        request_of().conditions[0].tensor,
    )
    with torch.inference_mode():
        plain = loaded.module(*inputs)
    with acting_adapters(runtime, RowAdapters((SETS[1], ()))):
        beside = runtime.run(inputs)[0]
    found = adaptable_layers(loaded.module, loaded.parts)
    changed = merge_adapter(found, model.folder / "loras" / "style.safetensors", 0.8)
    assert len(changed) == len(found.parts[LoraPart.DENOISER])
    with torch.inference_mode():
        merged = loaded.module(*inputs)
    assert torch.allclose(beside[0], merged[0], atol=1e-4)
    assert torch.allclose(beside[1], plain[1], atol=1e-5)
    assert (plain[0] - merged[0]).abs().max() > 0.05


def test_adapters_go_past_what_was_compiled(model: ModelSource, version: Path) -> None:
    """A compiled call does not look for hooks that came later."""
    runtime = open_runtime("torch", version, model.manifest, Component.DENOISER, SETTINGS.runtime)
    assert isinstance(runtime, TorchRuntime)
    inputs = (torch.randn(1, 4, 8, 8), torch.tensor([500.0]), request_of().conditions[0].tensor[:1])
    plain = runtime.run(inputs)[0]
    runtime._module._compiled_call_impl = lambda *_: plain  # as `nn.Module.compile` puts it there
    with acting_adapters(runtime, RowAdapters((SETS[1],))):
        answer = runtime.run(inputs)[0]
    assert (plain - answer).abs().max() > 0.05
    assert torch.equal(runtime.run(inputs)[0], plain)


def test_a_file_with_bad_numbers_changes_nothing(model: ModelSource, layers: AdaptableLayers, tmp_path: Path) -> None:
    name, shape = next((name, shape) for name, shape in layers.shapes[LoraPart.DENOISER].items() if len(shape) == 2)
    layer = layers.parts[LoraPart.DENOISER][name]
    before = layer.weight.clone()
    tensors = {f"unet.{name}.lora_A.weight": torch.full((2, shape[1]), math.inf)}
    save_file(tensors | {f"unet.{name}.lora_B.weight": torch.ones(shape[0], 2)}, tmp_path / "bad.safetensors")
    with pytest.raises(LoraError, match="not finite"):
        merge_adapter(layers, tmp_path / "bad.safetensors", 1.0)
    assert torch.equal(layer.weight, before)
