"""`triptych models`, as a user calls it."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from families.embedded import embedded_models
from tests.families.conftest import write_model
from tests.support.checkpoints import write_sparse
from triptych.cli import app

REGISTRY = """
models:
  - {alias: toy, family: stable-diffusion, licence: MIT, commercial_use: true, patterns: [toy, "toy*"]}
  - {alias: gone, family: flux1, licence: CC BY-NC 4.0, commercial_use: false, patterns: [gone]}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a registry of its own and one model in `storage`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIPTYCH_REGISTRY__FILE", "registry.yaml")
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    write_model(tmp_path / "storage" / "toy")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["models", *arguments])


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_what_would_be_served(place: Path, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "sd/wardrobe" in result.output


def test_an_alias_is_listed_with_its_path(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_MODEL_TOY", str(embedded_models() / "wardrobe"))
    monkeypatch.setenv("COLUMNS", "400")
    rows = {line.split("│")[1].strip(): line for line in run().output.splitlines() if "sd/" in line}
    assert list(rows) == ["sd/wardrobe", "sd/wardrobe-layers", "sd/wardrobe-tryon", "sd/toy"]
    assert str(embedded_models() / "wardrobe") in rows["sd/toy"]


def test_an_alias_that_is_named_and_cannot_be_served_is_exit_2(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_MODELS__ALIASES", '["gone"]')
    result = run()
    assert result.exit_code == 2
    assert "alias gone cannot be served: found nowhere; `triptych models resolve gone` tells" in result.output


def test_a_family_that_is_not_served_yet_is_called_so(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flux = {"double_blocks.0.img_mod.lin.weight": (6, 2), "double_blocks.0.img_attn.qkv.weight": (6, 2)}
    monkeypatch.setenv("TRIPTYCH_MODEL_GONE", str(write_sparse(place / "x.safetensors", flux)))
    assert "flux1 (not served yet)" in run("resolve", "gone").output


def test_every_alias_with_the_embedded_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("resolve", "--no-hash")
    assert result.exit_code == 0, result.output
    assert "the embedded models" in result.output and "qwen-image-layered" in result.output


def test_resolve_shows_where_from_and_what_was_looked_at(place: Path) -> None:
    (place / "manual_downloads").mkdir()
    result = run("resolve", "toy")
    assert result.exit_code == 0, result.output
    assert "from root storage, pattern toy, sha256 " in result.output
    assert "looked at TRIPTYCH_MODEL_TOY: not set" in result.output
    assert "looked at manual_downloads/toy*: no match" in result.output
    assert "looked at third_party: no such folder" in result.output


def test_json_is_the_report(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_MODEL_TOYS", "/x")
    result = run("resolve", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [(model["alias"], model["status"]) for model in found["data"]] == [("toy", "found"), ("gone", "missing")]
    assert len(found["data"][0]["digest"]["sha256"]) == 64
    assert "TRIPTYCH_MODEL_TOYS belongs to no alias" in found["problems"][0]


def test_exit_1_when_a_named_one_is_not_found(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("resolve", "toy", "gone").exit_code == 1
    monkeypatch.setenv("TRIPTYCH_MODEL_TOY", "/no/such/place")
    result = run("resolve", "toy")
    assert result.exit_code == 1
    assert "TRIPTYCH_MODEL_TOY names /no/such/place, which does not exist" in result.output
    assert run("resolve").exit_code == 0


def test_mistakes_are_one_line_and_exit_2(place: Path) -> None:
    result = run("resolve", "nope")
    assert result.exit_code == 2
    assert "unknown alias 'nope'; known aliases: toy, gone" in result.output
    (place / "registry.yaml").write_text("models: [{alias: toy, licences: [MIT]}]")
    result = run("resolve")
    assert result.exit_code == 2
    assert "registry file registry.yaml: models.0.licences: Extra inputs are not permitted" in result.output
    assert "Traceback" not in result.output
