"""Vision models by alias: a graph anywhere, used as its declaration says."""

import logging
from pathlib import Path

import pytest

from families.registry import Declarations, ModelRegistry, UnservableAlias
from families.registry.report import ModelFormat, Status
from families.registry.served import found_aliases
from families.registry.vision import found_vision, open_vision_alias
from families.vision.manifest import VisionTask
from families.vision.source import load_vision

RULE = {
    "task": "pose",
    "size": {"fixed": [384, 288]},
    "input": {"name": "input", "mean": [0, 0, 0], "std": [1, 1, 1]},
    "keypoints": {"kind": "simcc", "output_x": "#0", "output_y": "#1", "joints": ["head", None]},
}
ENTRY = {"alias": "poser", "family": "pose", "licence": "MIT", "commercial_use": True, "patterns": ["*.onnx", "poser"]}
EMBEDDED = {"alias": "eye", "family": "parser", "licence": "A", "commercial_use": True, "embedded": "wardrobe-parser"}


def registry(tmp_path: Path, *entries: dict[str, object]) -> ModelRegistry:
    declarations = Declarations.model_validate({"models": list(entries)})
    return ModelRegistry(declarations, (tmp_path / "models",), {}, tmp_path / "runtime")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def test_a_graph_is_used_as_declared(tmp_path: Path, models: Path) -> None:
    (models / "any_name.onnx").write_bytes(b"\x08\x08 and so on")
    opened = registry(tmp_path, ENTRY | {"vision": RULE}, EMBEDDED)
    report = opened.resolve("poser").report
    assert (report.status, report.format, report.servable) == (Status.FOUND, ModelFormat.ONNX, True)
    [source] = found_vision(opened).values()  # the embedded one is no find
    assert (source.triton_name, source.graph.name) == ("poser.pose", "any_name.onnx")
    assert source.manifest.licence == "MIT" and source.manifest.task is VisionTask.POSE
    assert not found_aliases(opened)
    assert set(found_vision(opened, ["poser", "eye"])) == {"poser", "eye"}


def test_a_folder_says_itself_how(tmp_path: Path, models: Path) -> None:
    embedded = open_vision_alias(registry(tmp_path, EMBEDDED), "eye")
    (models / "poser").mkdir()
    (models / "poser" / "vision.json").write_text(embedded.manifest.dump())
    entry = ENTRY | {"family": "parser"}
    with pytest.raises(UnservableAlias, match=r"poser.*parser\.onnx is missing"):
        open_vision_alias(registry(tmp_path, entry), "poser")
    (models / "poser" / "parser.onnx").write_bytes(embedded.graph.read_bytes())
    opened = registry(tmp_path, entry)
    assert opened.resolve("poser").report.family == "parser"
    assert open_vision_alias(opened, "poser") == load_vision(models / "poser")


def test_what_cannot_be_served_says_why(tmp_path: Path, models: Path, caplog: pytest.LogCaptureFixture) -> None:
    opened = registry(tmp_path, ENTRY | {"vision": RULE})
    with pytest.raises(UnservableAlias, match="found nowhere"):
        open_vision_alias(opened, "poser")
    (models / "broken.onnx").write_bytes(b"PK\x03\x04")
    with caplog.at_level(logging.WARNING):
        assert not found_vision(opened)
    assert "broken.onnx is no ONNX file" in caplog.text
    (models / "broken.onnx").write_bytes(b"\x08")
    with pytest.raises(UnservableAlias, match="neither it nor the alias says how"):
        open_vision_alias(registry(tmp_path, ENTRY), "poser")


def test_a_declaration_is_of_its_task() -> None:
    with pytest.raises(ValueError, match=r"vision\.task is pose, so family must be too, not 'parser'"):
        Declarations.model_validate({"models": [ENTRY | {"family": "parser", "vision": RULE}]})
