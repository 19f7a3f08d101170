"""The commands, as a user calls them."""

import json
import os
import shutil
from pathlib import Path

import onnx
import pytest
from click.testing import Result
from typer.testing import CliRunner

from export.build import Artefact
from export.cli import app
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
    assert result.output.count("passed") == 3
    assert "cached" in result.output


def test_publish_writes_a_repository(models_dir: Path, built: Path, tmp_path: Path) -> None:
    arguments = ("publish", "--models-dir", models_dir, "--runtime-dir", built, "--repository", tmp_path / "elsewhere")
    result = _run(*arguments, "--target", "onnxruntime", "--threads", "2", "--model", "tiny")
    assert result.exit_code == 0, result.output
    config = (tmp_path / "elsewhere" / "tiny.text_encoder" / "config.pbtxt").read_text()
    assert "onnxruntime_onnx" in config
    assert "unchanged" in _run(*arguments, "--target", "onnxruntime", "--threads", "2").output


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


def test_a_broken_model_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model_index.json").write_text(json.dumps({"_class_name": "NoPipeline"}))
    result = _run("build", "--models-dir", tmp_path)
    assert result.exit_code == 2
    assert "NoPipeline" in result.output
