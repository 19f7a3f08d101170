"""Models that take pictures apart go through the export like any other: one graph for every number of layers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from engine.modules import load_source_module
from engine.settings import RuntimeSettings, StepSettings
from engine.step import open_step_engine
from export.artefacts.key import Dialect
from export.graph.onnx_graph import GraphMetadata, write_onnx
from export.publishing.warm_up import warm_ups
from export.recipe import EngineFlags, Range, ShapeProfile, Target
from export.tensorrt.builder import EngineRequest, build_engine
from export.tensorrt.profiles import engine_profiles
from export.verification.samples import ReferenceSamples
from export.verification.verify import verify_onnx
from families.catalog import ModelSource, load_source
from families.derived import Layout
from families.manifest import Component
from families.manifest_json import dump_manifest
from families.qwen_image_layered import derive
from families.repository import MANIFEST_FILE, ONNX_FILE
from families.tensors import Array
from tests.engine.conftest import Recorder, run
from tests.support.layered_requests import CROWD
from tests.support.tiny_qwen_image_layered import write_tiny_qwen_image_layered

PROFILE = ShapeProfile(
    batch=Range(min=1, opt=2, max=2), height=Range(min=32, opt=64, max=96), width=Range(min=32, opt=64, max=128)
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    return load_source(write_tiny_qwen_image_layered(tmp_path_factory.mktemp("models") / "tiny-layered", blocks=1))


@pytest.fixture(scope="module")
def samples(source: ModelSource) -> ReferenceSamples:
    return ReferenceSamples(source)


@pytest.fixture(scope="module")
def graphs(source: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> dict[Component, Path]:
    """Each beside the manifest, as it is published."""
    made = {}
    for component in (Component.DENOISER, Component.VAE_ENCODER, Component.VAE_DECODER):
        made[component] = tmp_path_factory.mktemp(component.value) / ONNX_FILE
        (made[component].parent / MANIFEST_FILE).write_text(dump_manifest(source.manifest), encoding="utf-8")
        metadata = GraphMetadata(source.manifest.name, component.value, "hash", "test", Dialect.PORTABLE)
        write_onnx(
            load_source_module(source, component), source.manifest.signature(component), metadata, made[component]
        )
    return made


@pytest.mark.parametrize("component", [Component.DENOISER, Component.VAE_ENCODER, Component.VAE_DECODER])
def test_graphs_hold_against_torch(
    source: ModelSource, samples: ReferenceSamples, graphs: dict[Component, Path], component: Component
) -> None:
    report = verify_onnx(source, component, graphs[component], samples)
    assert report.passed and report.checks, report.failures


def _inputs(source: ModelSource, rows: int, layers: int, size: tuple[int, int], words: int) -> list[Array]:
    generator = np.random.default_rng(layers)
    channels, width = source.manifest.latent.channels, int(source.manifest.given[0].dims[-1])
    height = size[0] * (layers + 1)
    given: list[Array] = [
        generator.standard_normal((rows, channels, height, size[1]), np.float32),
        generator.uniform(0, 1000, rows).astype(np.float32),
        generator.standard_normal((rows, words, width), np.float32),
        np.arange(words)[None] < generator.integers(1, words + 1, (rows, 1)),
        generator.standard_normal((rows, size[0] * size[1], channels), np.float32),
    ]
    derived = derive(source.manifest, Layout(height, size[1], words, (size,)))
    return [*given, *(tensor.array.repeat(rows, axis=0) for tensor in derived)]


def test_one_graph_serves_every_number_of_layers_and_size(source: ModelSource, graphs: dict[Component, Path]) -> None:
    session = ort.InferenceSession(str(graphs[Component.DENOISER]), providers=["CPUExecutionProvider"])
    module: nn.Module = load_source_module(source, Component.DENOISER)
    names = [spec.name for spec in source.manifest.denoiser.inputs]
    for rows, layers, size, words in ((1, 2, (4, 4), 64), (2, 5, (3, 6), 7), (1, 10, (2, 8), 64), (3, 3, (5, 2), 20)):
        arrays = _inputs(source, rows, layers, size, words)
        with torch.inference_mode():
            expected = module(*(torch.from_numpy(array) for array in arrays)).numpy()
        (got,) = session.run(None, dict(zip(names, arrays, strict=True)))
        np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


def test_onnxruntime_takes_pictures_apart_in_flight(graphs: dict[Component, Path]) -> None:
    """On two lanes: a crowd gets, to the byte, what each would get alone."""
    settings = StepSettings(runtime=RuntimeSettings(threads=2, device="cpu"))
    engine = open_step_engine(graphs[Component.DENOISER].parent, "onnxruntime", settings)
    try:
        requests = [replace(request, deterministic=True) for request in CROWD]
        alone = [run(engine, request) for request in requests]
        recorders = [Recorder() for _ in requests]
        for request, recorder in zip(requests, recorders, strict=True):
            engine.submit(request, recorder)
        for recorder, expected in zip(recorders, alone, strict=True):
            assert torch.equal(recorder.result(), expected)
    finally:
        engine.close()


def test_a_profile_covers_every_number_of_layers(source: ModelSource) -> None:
    (denoiser,) = engine_profiles(source.manifest, Component.DENOISER, [PROFILE])
    shapes = {entry.name: (entry.min[1:], entry.opt[1:], entry.max[1:]) for entry in denoiser.inputs}
    assert shapes["sample"] == ((32, 6, 2), (32, 20, 4), (32, 66, 8)), "2, 4 and 10 layers and the picture itself"
    assert shapes["latent_cos"] == ((6, 2, 16), (20, 4, 16), (66, 8, 16))
    assert shapes["reference"] == ((4, 32), (16, 32), (48, 32)), "one picture"
    assert shapes["context_mask"] == ((64,), (64,), (512,)), "from the shortest text that padding is cut to"
    (decoder,) = engine_profiles(source.manifest, Component.VAE_DECODER, [PROFILE])
    assert decoder.inputs[0].opt == (2, 32, 4, 4), "frames are decoded one by one"
    (encoder,) = engine_profiles(source.manifest, Component.VAE_ENCODER, [PROFILE])
    assert encoder.inputs[0].max == (2, 96, 128, 4)
    assert warm_ups(source.manifest, Component.VAE_ENCODER, 4)[0].inputs[0].dims == (64, 64, 4)


@pytest.mark.parametrize("component", [Component.DENOISER, Component.VAE_DECODER])
def test_tensorrt_rtx_compiles_them(
    source: ModelSource, graphs: dict[Component, Path], component: Component, tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    request = EngineRequest(
        Target.TENSORRT_RTX,
        graphs[component],
        engine_profiles(source.manifest, component, [PROFILE]),
        EngineFlags(compute_capabilities=("8.9",)),
    )
    built, signature = build_engine(request, tmp_path), source.manifest.signature(component)
    assert [tensor.name for tensor in built.inputs] == [spec.name for spec in signature.inputs]
