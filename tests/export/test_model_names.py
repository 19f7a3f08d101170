"""`--model`: a folder's name, an alias, a path, or NAME=PATH, through the whole command line."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from export.artefacts.artefact import Artefact
from export.cli.model_names import ModelNames
from export.errors import ExportError
from families.manifest import Component
from tests.support.checkpoints import write_sparse
from triptych.cli import app

REGISTRY = """
models:
  - {alias: house, family: stable-diffusion, licence: MIT, commercial_use: true, patterns: [house]}
  - {alias: tiny, family: stable-diffusion, licence: MIT, commercial_use: true, patterns: [tiny]}
  - {alias: later, family: flux1, licence: NC, commercial_use: false, patterns: ["later.*"]}
  - {alias: wardrobe, family: stable-diffusion, licence: MIT, commercial_use: true, embedded: wardrobe}
"""
FLUX = {"double_blocks.0.img_mod.lin.weight": (6, 2), "double_blocks.0.img_attn.qkv.weight": (6, 2)}


@pytest.fixture
def place(tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a registry, which an environment variable names, and models in `storage`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIPTYCH_REGISTRY__FILE", "registry.yaml")
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    shutil.copytree(models_dir / "tiny", tmp_path / "storage" / "house")
    write_sparse(tmp_path / "storage" / "later.safetensors", FLUX)
    return tmp_path


def _export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["export", *(str(argument) for argument in arguments)])


def _planned(*arguments: str | Path) -> set[str]:
    result = _export("plan", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return {step["model"] for step in json.loads(result.stdout)}


def test_an_alias(place: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _planned("--model", "house") == {"house"}
    monkeypatch.setenv("TRIPTYCH_MODEL_HOUSE", str(models_dir / "tiny"))
    shutil.rmtree(place / "storage")
    assert _planned("--model", "house", "--models-dir", models_dir, "--model", "tiny") == {"house", "tiny"}


def test_the_registry_of_a_configuration_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIPTYCH_REGISTRY__FILE")
    (place / "storage").rename(place / "elsewhere")
    (place / "mine.yaml").write_text("registry: {file: registry.yaml, roots: [elsewhere]}")
    result = _export("--config", "mine.yaml", "plan", "--model", "house")
    assert result.exit_code == 0, result.output
    assert "house.denoiser" in result.output


def test_paths_with_and_without_a_name(place: Path, models_dir: Path) -> None:
    assert _planned("--model", models_dir / "tiny", "--model", "storage/house") == {"tiny", "house"}
    assert _planned("--model", f"dress-1.5={models_dir / 'tiny'}") == {"dress-1.5"}


def test_a_recipe_for_an_alias(place: Path) -> None:
    (place / "text.yaml").write_text("model: house\ncomponents: [text_encoder]")
    assert _planned("--recipe", "text.yaml") == {"house"}


def test_publishing_by_alias_is_publishing_under_its_name(place: Path) -> None:
    result = _export("publish", "--model", "house", "--runtime", "torch", "--target", "python")
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (place / "runtime" / "model_repository").iterdir() if path.is_dir())
    assert names == sorted(f"house.{component.value}" for component in Component)
    # The same model by its path is the same release.
    again = _export("publish", "--model", "house=storage/house", "--runtime", "torch", "--target", "python")
    assert again.output.count("unchanged") == len(names) and "house: version 1" in again.output


def test_what_an_alias_needs_is_not_pruned_as_long_as_it_leads_there(
    place: Path, runtime_dir: Path, artefacts: dict[Component, Artefact]
) -> None:
    # An artefact knows nothing of names: those of `tiny` are what `house`, the same files, would be built into.
    shutil.copytree(runtime_dir / "artefacts" / "tiny", place / "runtime" / "artefacts" / "house")
    used = [entry["used_by"] for entry in json.loads(_export("list", "--json").stdout)]
    assert used == [["recipe default"]] * len(artefacts)
    assert "would remove 0 artefacts" in _export("prune", "--dry-run").output
    shutil.rmtree(place / "storage")
    assert f"would remove {len(artefacts)} artefacts" in _export("prune", "--dry-run").output


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("later", "alias later cannot be served: storage/later.safetensors: flux1 is recognised but not served yet"),
        ("nobody", "no model nobody; known are tiny, and those of --models-dir, aliases and paths"),
        ("no/where", "no model no/where: there is no such file or folder"),
        ("a=no/where", "no model no/where: there is no such file or folder"),
        ("storage/later.safetensors", "recognised but not served yet"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(name: str, message: str, place: Path, models_dir: Path) -> None:
    result = _export("plan", "--model", name, "--models-dir", models_dir)
    assert result.exit_code == 2
    assert message in result.output and "Traceback" not in result.output
    assert not (place / "runtime").exists()


def test_an_alias_goes_before_a_folder_and_a_folder_before_an_embedded_model(
    place: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(models_dir / "tiny", place / "mine" / "wardrobe")
    result = _export("plan", "--model", "wardrobe", "--models-dir", "mine", "--json")
    embedded = _export("plan", "--model", "wardrobe", "--models-dir", models_dir, "--json")
    assert result.exit_code == embedded.exit_code == 0, result.output + embedded.output
    sizes = [sum(step["size"] for step in json.loads(one.stdout)) for one in (result, embedded)]
    assert sizes[0] < sizes[1] / 10
    monkeypatch.setenv("TRIPTYCH_MODEL_TINY", "/gone")
    assert "TRIPTYCH_MODEL_TINY names /gone" in _export("plan", "--model", "tiny", "--models-dir", models_dir).output


def test_without_the_command_around_it_there_are_no_aliases(models_dir: Path) -> None:
    assert ModelNames(None, [models_dir]).find("tiny").path == models_dir / "tiny"
    with pytest.raises(ExportError, match="no model house; known are tiny"):
        ModelNames(None, [models_dir]).find("house")
