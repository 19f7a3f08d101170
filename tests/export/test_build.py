"""The artefact store: what is there is whole, what is unchanged is not built again, what fails leaves nothing."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from export import workshop as workshop_module
from export.artefacts.artefact import PAGE_FILE, RECORD_FILE, REPORT_FILE, Artefact
from export.artefacts.key import KEY_FILE
from export.artefacts.store import ArtefactStore
from export.build import Builder
from export.errors import BuildError, VerificationError
from export.progress import Stage
from export.recipe import Recipe, Target
from export.targets import Compiler
from export.verification.report import parse_report
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.repository import ONNX_FILE
from tests.export.fake_compiler import FakeCompiler

DENOISER_ALONE = Recipe(name="denoiser", model="tiny", components=(Component.DENOISER,))


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> FakeCompiler:
    fake = FakeCompiler()

    def give(target: Target) -> Compiler:
        return fake

    monkeypatch.setattr(workshop_module, "compiler", give)
    return fake


@pytest.fixture
def own_source(source: ModelSource, tmp_path: Path) -> ModelSource:
    """A copy of the tiny model that the test may change."""
    return load_source(Path(shutil.copytree(source.folder, tmp_path / "models" / "tiny")))


def _folders(runtime_dir: Path) -> list[str]:
    return sorted(path.parent.name for path in runtime_dir.glob(f"artefacts/*/*/{RECORD_FILE}"))


def test_real_artefacts_are_whole(artefacts: dict[Component, Artefact]) -> None:
    for component, artefact in artefacts.items():
        assert artefact.folder.name == f"{component.value}-{artefact.key}"
        assert {path.name for path in artefact.folder.iterdir()} == {
            ONNX_FILE,
            KEY_FILE,
            RECORD_FILE,
            REPORT_FILE,
            PAGE_FILE,
        }


def test_second_build_finds_everything(own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path) -> None:
    first = Builder(tmp_path).build(own_source)
    seen: list[Stage] = []
    second = Builder(tmp_path, lambda news: seen.append(news.stage)).build(own_source)
    assert first == second
    assert compiler.compiled == list(Component)
    assert seen == [Stage.CACHED] * 4


def test_changed_weights_are_built_anew(own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path) -> None:
    before = {artefact.component: artefact for artefact in Builder(tmp_path).build(own_source)}
    config = own_source.folder / "unet" / "config.json"
    config.write_text(config.read_text() + "\n")
    after = {artefact.component: artefact for artefact in Builder(tmp_path).build(own_source)}
    assert before[Component.DENOISER] != after[Component.DENOISER]
    assert before[Component.VAE_DECODER] == after[Component.VAE_DECODER]
    assert compiler.compiled == [*Component, Component.DENOISER]


def test_new_exporter_builds_anew(
    own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Builder(tmp_path).build(own_source)
    monkeypatch.setattr("export.artefacts.fingerprint.EXPORTER_REVISION", 1_000_000)
    Builder(tmp_path).build(own_source)
    assert compiler.compiled == [*Component, *Component]


def test_other_shapes_of_the_same_weights_build_anew(
    own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path
) -> None:
    Builder(tmp_path).build(own_source)
    manifest = own_source.manifest
    sample, timestep, context = manifest.denoiser.inputs
    inputs = (sample, timestep, replace(context, dims=(16, *context.dims[1:])))
    changed = replace(manifest, denoiser=replace(manifest.denoiser, inputs=inputs))
    Builder(tmp_path).build(replace(own_source, manifest=changed))
    assert compiler.compiled == [*Component, Component.DENOISER]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("no kernel")])
def test_interrupted_build_leaves_nothing(
    error: BaseException, own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path
) -> None:
    compiler.error = error
    expected = BuildError if isinstance(error, Exception) else KeyboardInterrupt
    with pytest.raises(expected):
        Builder(tmp_path).build(own_source)
    assert _folders(tmp_path) == []
    compiler.error = None
    assert len(Builder(tmp_path).build(own_source)) == 4


def test_remains_of_a_killed_build_do_not_matter(
    own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path
) -> None:
    finished = Builder(tmp_path).build(own_source, DENOISER_ALONE)[0]
    shutil.rmtree(finished.folder)
    partial = finished.folder.with_name(f".{finished.folder.name}.partial")
    partial.mkdir()
    (partial / "garbage").write_bytes(b"half a graph")
    Builder(tmp_path).build(own_source, DENOISER_ALONE)
    assert not (finished.folder / "garbage").exists()
    assert not partial.exists()


def test_failed_checks_are_not_kept_and_say_where_to_look(
    own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path
) -> None:
    compiler.passes = False
    with pytest.raises(VerificationError, match=r"tiny\.text_encoder: 1 of 1 checks failed.*failed/text_encoder-"):
        Builder(tmp_path).build(own_source)
    assert _folders(tmp_path) == []
    assert list(tmp_path.glob(f"artefacts/tiny/failed/text_encoder-*/{REPORT_FILE}"))


def test_parallel_builds_compile_once(own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path) -> None:
    builders = [threading.Thread(target=Builder(tmp_path).build, args=(own_source,)) for _ in range(4)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert sorted(compiler.compiled) == sorted(Component)


def test_broken_hash_file_is_only_slow(own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path) -> None:
    first = Builder(tmp_path).build(own_source)
    (tmp_path / "artefacts" / "source-hashes.json").write_text("{")
    assert Builder(tmp_path).build(own_source) == first


def test_an_engine_starts_from_the_stored_graph(
    own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.tensorrt.environment.engine_environment", lambda target: (("gpu", "none"),))
    engine = DENOISER_ALONE.model_copy(update={"target": Target.TENSORRT_RTX})
    (built,) = Builder(tmp_path).build(own_source, engine)
    graph, first = compiler.jobs
    assert (graph.key.target, graph.onnx) == (Target.ONNX, None)
    assert first.key.target is Target.TENSORRT_RTX
    assert first.onnx is not None and first.onnx.is_file()
    assert built.folder.name == f"denoiser-{first.key.digest}"
    stored = parse_report((first.onnx.parent / REPORT_FILE).read_text())
    assert (graph.graph_report, first.graph_report) == (None, stored), "the graph's checks are not repeated"

    flags = engine.engine.model_copy(update={"builder_level": 5})
    Builder(tmp_path).build(own_source, engine.model_copy(update={"engine": flags}))
    assert len(compiler.jobs) == 3, "the graph was there"
    assert compiler.jobs[2].onnx == first.onnx

    shutil.rmtree(first.onnx.parent)
    Builder(tmp_path).build(own_source, engine)
    assert len(compiler.jobs) == 3, "an engine that is there needs no graph"


def test_a_graph_that_was_altered_is_built_anew_before_an_engine_is_made_of_it(
    own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its report would speak of another file."""
    monkeypatch.setattr("export.tensorrt.environment.engine_environment", lambda target: (("gpu", "none"),))
    engine = DENOISER_ALONE.model_copy(update={"target": Target.TENSORRT_RTX})
    key = Builder(tmp_path).graph_key(own_source, Component.DENOISER, engine)
    Builder(tmp_path).build(own_source, engine)
    graph = ArtefactStore(tmp_path).folder("tiny", key) / ONNX_FILE
    graph.write_bytes(bytes(len(graph.read_bytes())))  # as long as it was
    seen: list[Stage] = []
    flags = engine.engine.model_copy(update={"builder_level": 5})
    Builder(tmp_path, lambda news: seen.append(news.stage)).build(
        own_source, engine.model_copy(update={"engine": flags})
    )
    assert Stage.CORRUPT in seen
    assert graph.read_bytes() == b"g" * compiler.size
    assert [job.key.target for job in compiler.jobs] == [Target.ONNX, Target.TENSORRT_RTX] * 2


def test_a_later_success_removes_the_report_of_a_failure(
    own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path
) -> None:
    compiler.passes = False
    with pytest.raises(VerificationError, match=rf"{PAGE_FILE}$"):
        Builder(tmp_path).build(own_source, DENOISER_ALONE)
    assert list(tmp_path.glob(f"artefacts/tiny/failed/*/{PAGE_FILE}"))
    compiler.passes = True
    Builder(tmp_path).build(own_source, DENOISER_ALONE)
    assert not list(tmp_path.glob("artefacts/tiny/failed/*"))
