"""The commands, as a user calls them."""

import json
import os
import shutil
from pathlib import Path

import onnx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from export.artefacts.artefact import RECORD_FILE, Artefact, describe_files, read_record, write_record
from export.cli.app import app
from families.manifest import Component
from families.repository import ONNX_FILE


@pytest.fixture
def built(runtime_dir: Path, artefacts: dict[Component, Artefact], tmp_path: Path) -> Path:
    """A runtime folder with artefacts, the test's own."""
    shutil.copytree(runtime_dir / "artefacts", tmp_path / "runtime" / "artefacts")
    return tmp_path / "runtime"


def _run(*arguments: str | os.PathLike[str]) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_build_shows_reports(models_dir: Path, built: Path) -> None:
    result = _run("build", "--models-dir", models_dir, "--runtime-dir", built)
    assert result.exit_code == 0, result.output
    assert result.output.count("passed") == 4
    assert "cached" in result.output


def test_publish_writes_a_repository(models_dir: Path, built: Path, tmp_path: Path) -> None:
    arguments = ("publish", "--models-dir", models_dir, "--runtime-dir", built, "--repository", tmp_path / "elsewhere")
    result = _run(*arguments, "--target", "onnxruntime", "--threads", "2", "--model", "tiny")
    assert result.exit_code == 0, result.output
    config = (tmp_path / "elsewhere" / "tiny.text_encoder" / "config.pbtxt").read_text()
    assert "onnxruntime_onnx" in config
    assert "unchanged" in _run(*arguments, "--target", "onnxruntime", "--threads", "2").output
    gone = shutil.copytree(tmp_path / "elsewhere" / "tiny.text_encoder", tmp_path / "elsewhere" / "gone.text_encoder")
    assert _run(*arguments).exit_code == 0
    assert gone.exists(), "nobody asked for its removal"
    assert "gone.text_encoder: removed" in _run(*arguments, "--prune").output
    assert not gone.exists()
    assert (tmp_path / "elsewhere" / "tiny.text_encoder").exists()


def test_verify_exits_1_on_a_failed_check(models_dir: Path, built: Path) -> None:
    arguments = ("verify", "--models-dir", models_dir, "--runtime-dir", built)
    assert _run(*arguments).exit_code == 0
    graph = next(built.glob(f"artefacts/tiny/text_encoder-*/{ONNX_FILE}"))
    model = onnx.load(str(graph))
    weights = next(item for item in model.graph.initializer if item.data_type == 1 and len(item.dims) == 2)
    weights.raw_data = bytes(len(weights.raw_data))
    onnx.save(model, str(graph))
    result = _run(*arguments)
    assert result.exit_code == 1
    assert "was altered" in result.output
    record = read_record(graph.parent)
    (graph.parent / RECORD_FILE).unlink()
    write_record(graph.parent, record.model_copy(update={"files": describe_files(graph.parent)}))
    result = _run(*arguments)
    assert result.exit_code == 1
    assert "differs by" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build", "--model", "nobody"), "no model nobody; known are tiny"),
        (("verify",), "tiny.text_encoder is not built"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], message: str, models_dir: Path, tmp_path: Path) -> None:
    result = _run(*arguments, "--models-dir", models_dir, "--runtime-dir", tmp_path / "fresh")
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: other", "recipe mine is for the model other: no model other; known are tiny"),
        ("model: tiny\nprecison: fp16", "mine.yaml: unknown key precison; allowed here: model"),
    ],
)
def test_mistakes_in_recipes_are_one_line_and_nothing_is_written(
    text: str, message: str, models_dir: Path, tmp_path: Path
) -> None:
    recipe, runtime_dir = tmp_path / "mine.yaml", tmp_path / "fresh"
    recipe.write_text(text)
    for command in ("plan", "build", "verify", "publish"):
        result = _run(command, "--recipe", recipe, "--models-dir", models_dir, "--runtime-dir", runtime_dir)
        assert result.exit_code == 2
        assert message in result.output
    assert not runtime_dir.exists()


def test_verify_writes_pages_where_asked(models_dir: Path, built: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "text.yaml"
    recipe.write_text("model: tiny\ncomponents: [text_encoder]")
    arguments = ("verify", "--models-dir", models_dir, "--runtime-dir", built, "--recipe", recipe)
    assert _run(*arguments, "--report-dir", tmp_path / "pages").exit_code == 0
    assert {path.name for path in (tmp_path / "pages").iterdir()} == {
        "tiny.text_encoder.html",
        "tiny.text_encoder.json",
    }


def test_a_broken_model_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model_index.json").write_text(json.dumps({"_class_name": "NoPipeline"}))
    result = _run("build", "--models-dir", tmp_path)
    assert result.exit_code == 2
    assert "NoPipeline" in result.output
