"""Builds that are killed, run twice at once, meet a full disk or a broken artefact."""

import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from export import workshop as workshop_module
from export.artefacts import space
from export.artefacts.artefact import RECORD_FILE, REPORT_FILE, Artefact, check_hashes
from export.build import Builder
from export.errors import BuildError, CorruptArtefactError
from export.progress import Stage
from export.publishing.options import PublishOptions
from export.publishing.prepare import prepare_model
from export.recipe import Recipe
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import ONNX_FILE
from tests.export.fake_compiler import FakeCompiler

TEXT_ENCODER = Recipe(name="text", model="tiny", components=(Component.TEXT_ENCODER,))
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> FakeCompiler:
    fake = FakeCompiler()
    monkeypatch.setattr(workshop_module, "compiler", lambda target: fake)
    return fake


def _start(source: ModelSource, runtime_dir: Path, seconds: float) -> subprocess.Popen[str]:
    program = "import sys; from tests.export.fake_compiler import slow_build; "
    program += "slow_build(sys.argv[1], sys.argv[2], float(sys.argv[3]))"
    arguments = [sys.executable, "-c", program, str(source.folder), str(runtime_dir), str(seconds)]
    return subprocess.Popen(arguments, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _wait_for_half_an_artefact(runtime_dir: Path) -> None:
    end = time.monotonic() + 120
    while not list(runtime_dir.glob(f"artefacts/tiny/.*.partial/{ONNX_FILE}")):
        assert time.monotonic() < end, "the build never began to write"
        time.sleep(0.02)


def _usable(runtime_dir: Path) -> list[Path]:
    return list(runtime_dir.glob(f"artefacts/tiny/*/{RECORD_FILE}"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_build_leaves_nothing_usable_and_the_next_succeeds(
    number: signal.Signals, source: ModelSource, compiler: FakeCompiler, tmp_path: Path
) -> None:
    process = _start(source, tmp_path, seconds=600)
    try:
        _wait_for_half_an_artefact(tmp_path)
        process.send_signal(number)
        assert process.wait(60) != 0
    finally:
        process.kill()
        process.communicate()
    assert not [path for path in tmp_path.glob("artefacts/tiny/*") if path.is_dir() and not path.name.startswith(".")]
    assert len(Builder(tmp_path).build(source, TEXT_ENCODER)) == 1
    assert compiler.compiled == [Component.TEXT_ENCODER]
    assert len(_usable(tmp_path)) == 1
    assert not list(tmp_path.glob("artefacts/tiny/.*.partial"))


def test_two_builds_at_once_are_one(source: ModelSource, tmp_path: Path) -> None:
    first = _start(source, tmp_path, seconds=3)
    _wait_for_half_an_artefact(tmp_path)
    second = _start(source, tmp_path, seconds=3)
    outputs = [process.communicate(timeout=120)[0].split("\n") for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert "built" in outputs[0]
    assert "compiling" not in outputs[1]
    assert len(_usable(tmp_path)) == 1


@pytest.mark.parametrize("harm", ["truncated", "missing", "no record"])
def test_a_broken_artefact_is_said_and_built_anew(
    harm: str, source: ModelSource, compiler: FakeCompiler, tmp_path: Path
) -> None:
    (artefact,) = Builder(tmp_path).build(source, TEXT_ENCODER)
    if harm == "truncated":
        (artefact.folder / ONNX_FILE).write_bytes(b"gra")
    else:
        (artefact.folder / (ONNX_FILE if harm == "missing" else RECORD_FILE)).unlink()
    stages: list[Stage] = []
    Builder(tmp_path, lambda news: stages.append(news.stage)).build(source, TEXT_ENCODER)
    assert stages[0] is Stage.CORRUPT
    assert stages[-1] is Stage.BUILT
    assert (artefact.folder / ONNX_FILE).read_bytes() == b"ggggg"


def test_altered_bytes_of_the_same_length_are_found_by_their_hash(
    source: ModelSource, compiler: FakeCompiler, tmp_path: Path
) -> None:
    (artefact,) = Builder(tmp_path).build(source, TEXT_ENCODER)
    check_hashes(artefact.folder)
    (artefact.folder / ONNX_FILE).write_bytes(b"gg?gg")
    with pytest.raises(CorruptArtefactError, match="was altered"):
        Builder(tmp_path).verify(source, TEXT_ENCODER)


def test_what_was_altered_in_the_store_is_not_published(
    source: ModelSource, runtime_dir: Path, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    shutil.copytree(runtime_dir / "artefacts", tmp_path / "artefacts")
    graph = next(tmp_path.glob(f"artefacts/tiny/vae_decoder-*/{ONNX_FILE}"))
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    with pytest.raises(CorruptArtefactError, match=r"vae_decoder-.* was altered"):
        prepare_model(source, tmp_path, tmp_path / "repository", PublishOptions())
    assert not list((tmp_path / "repository").glob("*/*/published.json"))


@contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[None]:
    """A file system of `size` bytes; where we may not mount one, files of at most that size."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") and subprocess.run(["mount", *options], capture_output=True).returncode == 0:
        try:
            yield
        finally:
            subprocess.run(["umount", str(folder)], check=True)
        return
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_said_and_breaks_nothing(source: ModelSource, compiler: FakeCompiler, tmp_path: Path) -> None:
    runtime_dir = tmp_path / "disk"
    with _small_disk(runtime_dir, 2 << 20):
        compiler.size = 4 << 20
        with pytest.raises(BuildError, match=rf"no space left in {runtime_dir}.*about [\d,]+ bytes are needed"):
            Builder(runtime_dir).build(source, TEXT_ENCODER)
        assert not _usable(runtime_dir)
        assert not list(runtime_dir.glob("artefacts/tiny/.*.partial"))
        compiler.size = 1 << 10
        assert len(Builder(runtime_dir).build(source, TEXT_ENCODER)) == 1


def test_nothing_is_begun_where_space_is_short(
    source: ModelSource, compiler: FakeCompiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "free_bytes", lambda folder: 1000)
    with pytest.raises(BuildError, match=r"tiny\.text_encoder: no space left in .*, 1,000 are free"):
        Builder(tmp_path).build(source, TEXT_ENCODER)
    assert compiler.compiled == []


def test_a_real_build_survives_a_real_kill(
    models_dir: Path, source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    """Through the command line, killed while the graph is being made; then built for good."""
    recipe = tmp_path / "text.yaml"
    recipe.write_text("model: tiny\ncomponents: [text_encoder]\n")
    for attempt in range(5):  # a build may end before it is killed; one that was killed leaves its half
        runtime_dir = tmp_path / f"runtime-{attempt}"
        half = f"{runtime_dir.name}/artefacts/tiny/.*.partial"
        arguments = ["--models-dir", str(models_dir), "--runtime-dir", str(runtime_dir), "--recipe", str(recipe)]
        process = subprocess.Popen([sys.executable, "-m", "triptych", "export", "build", *arguments], cwd=PROJECT)
        while not list(tmp_path.glob(half)) and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        process.wait(60)
        if list(tmp_path.glob(half)):
            break
    else:
        pytest.fail("no build was killed half-way")
    assert not _usable(runtime_dir)
    (artefact,) = Builder(runtime_dir).build(source, TEXT_ENCODER)
    assert artefact.key == artefacts[Component.TEXT_ENCODER].key
    assert (artefact.folder / REPORT_FILE).is_file()
