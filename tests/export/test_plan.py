"""What would be built and why, what is stored and used, what may go: all in a moment and without torch."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from export.artefacts import fingerprint
from export.artefacts.artefact import RECORD_FILE, Artefact, read_key, read_record, write_record
from export.artefacts.key import differences, parse_key
from export.artefacts.prune import parse_age
from export.build import Builder
from export.cli.app import app
from export.errors import ExportError
from export.plan import Verdict, plan
from export.recipe import Precision, Recipe, Target, default_recipe
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.repository import ONNX_FILE

PROJECT = Path(__file__).parents[2]
DENOISER = Recipe(name="one", model="tiny", components=(Component.DENOISER,))


@pytest.fixture
def built(runtime_dir: Path, artefacts: dict[Component, Artefact], tmp_path: Path) -> Path:
    """A runtime folder with artefacts, the test's own."""
    shutil.copytree(runtime_dir / "artefacts", tmp_path / "runtime" / "artefacts")
    return tmp_path / "runtime"


def _run(*arguments: str | os.PathLike[str], answer: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=answer)


def _age(runtime_dir: Path, seconds: float) -> None:
    for path in runtime_dir.glob(f"artefacts/*/*/{RECORD_FILE}"):
        record = read_record(path.parent)
        write_record(path.parent, record.model_copy(update={"created": record.created - seconds}))


def test_everything_built_is_a_hit(source: ModelSource, built: Path) -> None:
    steps = plan(Builder(built), source, default_recipe("tiny"))
    assert [step.verdict for step in steps] == [Verdict.HIT] * 4
    assert all(step.size == sum(file.size for file in read_record(step.folder).files) for step in steps)


def test_nothing_built_is_never_built(source: ModelSource, tmp_path: Path) -> None:
    steps = plan(Builder(tmp_path), source, default_recipe("tiny"))
    assert [(step.verdict, step.reason) for step in steps] == [(Verdict.MISS, "never built")] * 4
    assert all(step.size > 1000 for step in steps)


@pytest.mark.parametrize("target", ["onnx", "tensorrt-rtx"])
@pytest.mark.parametrize("command", ["plan", "build", "verify", "publish"])
@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (
            "width: {min: 64, opt: 64, max: 4096}",
            "profiles[0].width.max: 4096 is outside of what tiny allows: 64 to 2048",
        ),
        ("height: {min: 64, opt: 100, max: 128}", "profiles[0].height.opt: 100 is no multiple of 8, as tiny needs"),
        (
            "text_length: {min: 1, opt: 1, max: 8}",
            "profiles[0].text_length.min: 1 is outside of what tiny allows: 16 to 64",
        ),
    ],
)
def test_a_profile_that_does_not_fit_is_found_before_anything_is_built(
    command: str, target: str, profile: str, message: str, models_dir: Path, tmp_path: Path
) -> None:
    recipe, runtime_dir = tmp_path / "wide.yaml", tmp_path / "fresh"
    recipe.write_text(f"model: tiny\ntarget: {target}\nprofiles:\n  - {profile}\n")
    began = time.process_time()
    result = _run(command, "--recipe", recipe, "--models-dir", models_dir, "--runtime-dir", runtime_dir)
    assert result.exit_code == 2, result.output
    assert f"recipe wide: {message}" in result.output
    assert not runtime_dir.exists(), "nothing was hashed, nothing was written"
    assert time.process_time() - began < 4


def test_a_miss_says_what_changed(
    source: ModelSource, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(source: ModelSource, recipe: Recipe) -> list[str]:
        (step,) = plan(Builder(built), source, recipe)
        assert step.verdict is Verdict.MISS
        return [str(change) for change in step.changes]

    half = DENOISER.model_copy(update={"precision": Precision.FP16})
    assert changed(source, half) == ["graph.precision: fp32 -> fp16"]

    other = load_source(Path(shutil.copytree(source.folder, tmp_path / "other" / "tiny")))
    config = other.folder / "unet" / "config.json"
    config.write_text(config.read_text() + "\n")
    (weights,) = changed(other, DENOISER)
    assert weights.startswith("graph.weights: ")

    monkeypatch.setattr(fingerprint, "EXPORTER_REVISION", 1_000)
    assert changed(source, DENOISER)[0].endswith(" -> 1000")
    monkeypatch.undo()
    monkeypatch.setattr(fingerprint, "_version", lambda package: "9.9")
    assert {change.split(":")[0] for change in changed(source, DENOISER)} == {
        f"graph.packages.{name}" for name in fingerprint._PACKAGES
    }


def test_a_broken_artefact_is_planned_anew(source: ModelSource, built: Path) -> None:
    graph = next(built.glob(f"artefacts/tiny/denoiser-*/{ONNX_FILE}"))
    graph.write_bytes(graph.read_bytes()[:-1])
    (step,) = plan(Builder(built), source, DENOISER)
    assert step.verdict is Verdict.CORRUPT
    assert f"{ONNX_FILE} has" in step.reason


def test_an_engine_needs_its_graph_and_differs_by_profile_flags_and_machine(
    source: ModelSource, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = {"library": "tensorrt_rtx 1.7", "gpu": "no GPU"}
    monkeypatch.setattr("export.tensorrt.environment.engine_environment", lambda target: tuple(machine.items()))
    engine = DENOISER.model_copy(update={"target": Target.TENSORRT_RTX})
    steps = plan(Builder(built), source, engine)
    assert [step.target for step in steps] == [Target.ONNX, Target.TENSORRT_RTX]
    assert [str(change) for change in steps[0].changes] == ["graph.dialect: onnxruntime -> portable"]
    before = steps[1].key
    machine["gpu"] = "NVIDIA L4"
    flags = engine.model_copy(update={"engine": engine.engine.model_copy(update={"builder_level": 5})})
    after = plan(Builder(built), source, flags)[1].key
    assert [str(change) for change in differences(before, after)] == [
        "engine.flags.builder_level: 3 -> 5",
        "engine.environment.gpu: no GPU -> NVIDIA L4",
    ]


def test_keys_survive_their_file(artefacts: dict[Component, Artefact]) -> None:
    for artefact in artefacts.values():
        key = read_key(artefact.folder)
        assert parse_key(key.dump()) == key
        assert key.digest == artefact.key


@pytest.mark.parametrize("command", ["plan", "list", "build"])
def test_commands_on_what_is_built_are_quick_and_load_no_tensor_library(
    command: str, models_dir: Path, built: Path
) -> None:
    program = (
        "import sys, json, resource\n"
        "from triptych.cli import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "heavy = [name for name in ('torch', 'onnx', 'diffusers', 'onnxruntime', 'modelopt') if name in sys.modules]\n"
        "print(json.dumps([used.ru_utime + used.ru_stime, heavy]), file=sys.stderr)"
    )
    arguments = [sys.executable, "-c", program, "export", command, "--models-dir", models_dir, "--runtime-dir", built]
    done = subprocess.run(arguments, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("hit" if command == "plan" else "cached" if command == "build" else "used by") == 4
    seconds, heavy = json.loads(done.stderr.splitlines()[-1])
    assert heavy == []
    # Of this process alone: the clock on the wall would also tell what else the machine does. A core that others use
    # makes even this more, and in a fresh clone Python compiles every module first.
    assert seconds < 4


def test_plan_as_json(models_dir: Path, built: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "half.yaml"
    recipe.write_text("model: tiny\nprecision: fp16\ncomponents: [denoiser]\n")
    result = _run("plan", "--models-dir", models_dir, "--runtime-dir", built, "--recipe", recipe, "--json")
    (step,) = json.loads(result.stdout)
    assert (step["verdict"], step["precision"], step["recipe"]) == ("miss", "fp16", "half")
    assert step["changes"] == [{"field": "graph.precision", "before": "fp32", "after": "fp16"}]
    assert step["folder"].startswith(str(built))


def test_list_says_who_uses_what(models_dir: Path, built: Path, tmp_path: Path) -> None:
    arguments = ("--models-dir", models_dir, "--runtime-dir", built)
    assert _run("publish", *arguments).exit_code == 0
    listed = json.loads(_run("list", *arguments, "--json").stdout)
    assert {entry["component"] for entry in listed} == {component.value for component in Component}
    assert all(entry["used_by"][0].startswith("published tiny.") for entry in listed)
    assert all("recipe default" in entry["used_by"] for entry in listed)
    (tmp_path / "none").mkdir()
    shutil.rmtree(built / "model_repository")
    assert _run("list", "--models-dir", tmp_path / "none", "--runtime-dir", built).output.count("used by nobody") == 4


def test_prune_removes_what_nobody_uses(models_dir: Path, built: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    unused = ("prune", "--models-dir", tmp_path / "none", "--runtime-dir", built)

    def left() -> int:
        return len(list(built.glob(f"artefacts/tiny/*/{RECORD_FILE}")))

    assert _run("prune", "--models-dir", models_dir, "--runtime-dir", built, "--yes").exit_code == 0
    assert left() == 4, "a recipe uses them"
    assert "would remove 4" in _run(*unused, "--dry-run").output
    assert _run(*unused, answer="n\n").exit_code == 1
    assert _run(*unused, "--yes", "--older-than", "1h").exit_code == 0
    assert _run(*unused, "--yes", "--keep", "1").exit_code == 0
    assert left() == 4
    _age(built, 7200)
    (built / "artefacts" / "tiny" / ".denoiser-dead.partial").mkdir()
    assert "removed 4 artefacts" in _run(*unused, "--yes", "--older-than", "1h").output
    assert left() == 0
    assert not list(built.glob("artefacts/tiny/.*.partial"))


def test_ages() -> None:
    assert [parse_age(text) for text in ("90s", "2m", "1.5h", "7d")] == [90, 120, 5400, 604800]
    with pytest.raises(ExportError, match="such as 7d"):
        parse_age("soon")
