"""The artefact store: what is there is whole, what is unchanged is not built again, what fails leaves nothing."""

import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from export import build as build_module
from export.build import Artefact, Builder, Stage
from export.errors import BuildError, VerificationError
from export.report import Check, Comparison, Tolerance, VerificationReport
from export.samples import ReferenceSamples
from export.targets import CompileJob, Compiler, Target
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.repository import ONNX_FILE


@dataclass
class FakeCompiler:
    """Writes a file instead of compiling; fails on demand."""

    passes: bool = True
    error: BaseException | None = None
    compiled: list[Component] = field(default_factory=list)

    def compile(self, job: CompileJob, samples: ReferenceSamples) -> None:
        self.compiled.append(job.component)
        (job.destination / ONNX_FILE).write_bytes(b"graph")
        if self.error is not None:
            raise self.error

    def verify(self, job: CompileJob, samples: ReferenceSamples) -> VerificationReport:
        check = Check("sample", "output", Comparison.TORCH, 0.5, 1.0, self.passes, "" if self.passes else "off")
        return VerificationReport("tiny", job.component.value, Tolerance(0.1, 0.0), (check,))


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> FakeCompiler:
    fake = FakeCompiler()

    def give(target: Target) -> Compiler:
        return fake

    monkeypatch.setattr(build_module, "compiler", give)
    return fake


@pytest.fixture
def own_source(source: ModelSource, tmp_path: Path) -> ModelSource:
    """A copy of the tiny model that the test may change."""
    return load_source(Path(shutil.copytree(source.folder, tmp_path / "models" / "tiny")))


def _folders(runtime_dir: Path) -> list[str]:
    return sorted(path.name for path in runtime_dir.glob("artefacts/*/*") if path.is_dir())


def test_real_artefacts_are_whole(artefacts: dict[Component, Artefact]) -> None:
    for component, artefact in artefacts.items():
        assert artefact.folder.name == f"{component.value}-{artefact.key}"
        assert {path.name for path in artefact.folder.iterdir()} == {ONNX_FILE, build_module.REPORT_FILE}


def test_second_build_finds_everything(own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path) -> None:
    first = Builder(tmp_path).build(own_source)
    seen: list[Stage] = []
    second = Builder(tmp_path, progress=lambda model, component, stage: seen.append(stage)).build(own_source)
    assert first == second
    assert compiler.compiled == list(Component)
    assert seen == [Stage.CACHED] * 3


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
    monkeypatch.setattr("export.fingerprint.EXPORTER_REVISION", 1_000_000)
    Builder(tmp_path).build(own_source)
    assert compiler.compiled == [*Component, *Component]


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
    assert len(Builder(tmp_path).build(own_source)) == 3


def test_remains_of_a_killed_build_do_not_matter(
    own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path
) -> None:
    finished = Builder(tmp_path).build(own_source, [Component.DENOISER])[0]
    shutil.rmtree(finished.folder)
    partial = finished.folder.with_name(f".{finished.folder.name}.partial")
    partial.mkdir()
    (partial / "garbage").write_bytes(b"half a graph")
    Builder(tmp_path).build(own_source, [Component.DENOISER])
    assert not (finished.folder / "garbage").exists()
    assert not partial.exists()


def test_failed_checks_are_not_kept_and_say_where_to_look(
    own_source: ModelSource, compiler: FakeCompiler, tmp_path: Path
) -> None:
    compiler.passes = False
    with pytest.raises(VerificationError, match=r"tiny\.text_encoder: 1 of 1 checks failed.*failed\.json"):
        Builder(tmp_path).build(own_source)
    assert _folders(tmp_path) == []
    assert list(tmp_path.glob("artefacts/tiny/*.failed.json"))


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
