"""Real TensorRT-RTX builds of the tiny model, which need no GPU."""

import json
import logging
import threading
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from engine.runtimes import tensorrt_library
from engine.runtimes.tensorrt_description import DESCRIPTION_FILE, EngineDescription, read_description
from export.artefacts.artefact import Artefact
from export.artefacts.key import Dialect
from export.errors import BuildError, RecipeError
from export.graph.onnx_graph import GraphMetadata, write_onnx
from export.recipe import EngineFlags, Range, ShapeProfile, Target
from export.tensorrt.builder import EngineRequest, build_engine
from export.tensorrt.profiles import engine_profiles
from export.verification.samples import ReferenceSamples
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import ONNX_FILE, PLAN_FILE

pytest.importorskip("tensorrt_rtx_bindings")

SIDES = Range(min=64, opt=64, max=128)
PROFILES = (
    ShapeProfile(batch=Range(min=1, opt=2, max=4), width=SIDES, height=SIDES),
    ShapeProfile(batch=Range(min=1, opt=1, max=1), width=Range(min=64, opt=256, max=256)),
)
ADA = EngineFlags(compute_capabilities=("8.9",))


@pytest.fixture(scope="module")
def graphs(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path_factory: pytest.TempPathFactory
) -> dict[Component, Path]:
    """The denoiser in the dialect that engines are compiled from; TensorRT-RTX reads ONNX Runtime's just as well."""
    made = {component: artefact.folder / ONNX_FILE for component, artefact in artefacts.items()}
    path = made[Component.DENOISER] = tmp_path_factory.mktemp("portable") / ONNX_FILE
    metadata = GraphMetadata("tiny", "denoiser", "hash", "test", Dialect.PORTABLE)
    module = ReferenceSamples(source).module(Component.DENOISER)
    write_onnx(module, source.manifest.denoiser, metadata, path)
    return made


def request_for(source: ModelSource, component: Component, graph: Path, flags: EngineFlags = ADA) -> EngineRequest:
    profiles = engine_profiles(source.manifest, component, PROFILES)
    return EngineRequest(Target.TENSORRT_RTX, graph, profiles, flags)


@pytest.mark.parametrize("component", list(Component))
def test_every_component_becomes_an_engine(
    component: Component, source: ModelSource, graphs: dict[Component, Path], tmp_path: Path
) -> None:
    told: list[tuple[str, float | None]] = []
    request = request_for(source, component, graphs[component])
    built = build_engine(request, tmp_path, lambda doing, done: told.append((doing, done)))
    assert read_description(tmp_path) == built
    assert (tmp_path / PLAN_FILE).stat().st_size == built.plan_bytes > 10_000
    signature = source.manifest.signature(component)
    assert [tensor.name for tensor in built.inputs] == [spec.name for spec in signature.inputs]
    assert [tensor.shape for tensor in built.inputs] == [(-1, *spec.triton_dims) for spec in signature.inputs]
    assert [tensor.name for tensor in built.outputs] == [spec.name for spec in signature.outputs]
    assert len(built.profiles) == 2
    assert built.profiles[1][0].max[0] == 1
    assert any("Building engine" in doing for doing, _ in told)
    assert all(done is None or 0 <= done <= 1 for _, done in told)


@pytest.mark.parametrize(
    "flags",
    [
        EngineFlags(compute_capabilities=("8.0", "12.0"), builder_level=0),
        EngineFlags(compute_capabilities=("8.9",), weight_streaming=True, workspace_mib=512),
    ],
)
def test_flags_reach_the_library(
    flags: EngineFlags, source: ModelSource, graphs: dict[Component, Path], tmp_path: Path
) -> None:
    built = build_engine(request_for(source, Component.TEXT_ENCODER, graphs[Component.TEXT_ENCODER], flags), tmp_path)
    assert built.compute_capabilities == flags.compute_capabilities


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (EngineFlags(compute_capabilities=("9.0",)), r"compute_capabilities\[0\].*'9\.0'; known are .*8\.9"),
        (EngineFlags(compute_capabilities=("8.9", "ada")), r"compute_capabilities\[1\].*'ada'"),
        (EngineFlags(version_compatible=True), r"engine\.version_compatible: tensorrt-rtx"),
    ],
)
def test_what_the_library_lacks_is_named_and_nothing_is_written(
    flags: EngineFlags, says: str, source: ModelSource, graphs: dict[Component, Path], tmp_path: Path
) -> None:
    request = request_for(source, Component.TEXT_ENCODER, graphs[Component.TEXT_ENCODER], flags)
    with pytest.raises(RecipeError, match=says):
        build_engine(request, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_librarys_own_words_are_in_the_error(
    source: ModelSource, graphs: dict[Component, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags = EngineFlags(compute_capabilities=("7.5",))  # Turing has no float32 products in TensorRT-RTX
    request = request_for(source, Component.TEXT_ENCODER, graphs[Component.TEXT_ENCODER], flags)
    with caplog.at_level(logging.DEBUG), pytest.raises(BuildError, match=r"cannot be built: .*Turing"):
        build_engine(request, tmp_path)
    assert any("Turing" in record.message for record in caplog.records)
    assert not (tmp_path / DESCRIPTION_FILE).exists()


def test_a_broken_graph_is_named(source: ModelSource, graphs: dict[Component, Path], tmp_path: Path) -> None:
    path = tmp_path / ONNX_FILE
    path.write_bytes(graphs[Component.TEXT_ENCODER].read_bytes()[:5000])
    with pytest.raises(BuildError, match=rf"{ONNX_FILE} cannot be read"):
        build_engine(request_for(source, Component.TEXT_ENCODER, path), tmp_path)


def test_an_unknown_operator_is_named_with_its_node(
    source: ModelSource, graphs: dict[Component, Path], tmp_path: Path
) -> None:
    model = onnx.load(str(graphs[Component.TEXT_ENCODER]))
    node = next(node for node in model.graph.node if node.op_type == "Softmax")
    node.op_type, node.domain = "Hardmax2", "example.com"
    model.opset_import.append(onnx.helper.make_opsetid("example.com", 1))
    path = tmp_path / ONNX_FILE
    onnx.save(model, str(path))
    with pytest.raises(BuildError, match=rf"{node.name}.*Hardmax2"):
        build_engine(request_for(source, Component.TEXT_ENCODER, path), tmp_path)


def test_a_graph_of_another_component_is_refused(
    source: ModelSource, graphs: dict[Component, Path], tmp_path: Path
) -> None:
    with pytest.raises(BuildError, match=r"takes \['input_ids'\], its signature says \['latents'\]"):
        build_engine(request_for(source, Component.VAE_DECODER, graphs[Component.TEXT_ENCODER]), tmp_path)


def test_a_listeners_error_ends_the_build(source: ModelSource, graphs: dict[Component, Path], tmp_path: Path) -> None:
    """As an interrupt does, wherever it strikes."""
    calls: list[str] = []

    def strike(doing: str, _done: float | None) -> None:
        calls.append(doing)
        if len(calls) == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_engine(request_for(source, Component.DENOISER, graphs[Component.DENOISER]), tmp_path, strike)
    assert not (tmp_path / DESCRIPTION_FILE).exists()
    assert threading.active_count() < 50
    # The library is of use afterwards.
    assert build_engine(request_for(source, Component.TEXT_ENCODER, graphs[Component.TEXT_ENCODER]), tmp_path).layers


def test_a_missing_library_says_what_to_install(
    source: ModelSource, graphs: dict[Component, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(tensorrt_library.importlib, "import_module", absent)
    request = request_for(source, Component.TEXT_ENCODER, graphs[Component.TEXT_ENCODER])
    with pytest.raises(BuildError, match=r"tensorrt is not installed .*pip install tensorrt"):
        build_engine(replace(request, target=Target.TENSORRT), tmp_path)
    with pytest.raises(BuildError, match=r"triptych\[tensorrt-rtx\]"):
        build_engine(request, tmp_path)


def test_the_description_is_plain_json(tmp_path: Path, source: ModelSource, graphs: dict[Component, Path]) -> None:
    built: EngineDescription = build_engine(
        request_for(source, Component.TEXT_ENCODER, graphs[Component.TEXT_ENCODER]), tmp_path
    )
    said = json.loads((tmp_path / DESCRIPTION_FILE).read_text())
    assert said["library"] == "tensorrt-rtx"
    assert said["profiles"][0][0] == {"name": "input_ids", "min": [1, 16], "opt": [2, 16], "max": [4, 16]}
    assert said["version"] == built.version
