"""Models found on disk."""

from pathlib import Path

import pytest

from families.catalog import discover, load_source
from families.errors import ManifestError
from tests.families.conftest import write_json, write_model


def test_every_model_of_every_directory_is_found(model_folder: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "more" / "other")
    (tmp_path / "more" / "no_model").mkdir()
    found = discover([model_folder.parent, tmp_path / "more", tmp_path / "absent"])
    assert list(found) == ["toy", "other"]
    assert found["other"].folder == tmp_path / "more" / "other"
    assert found["toy"].tokenizer_files == (model_folder / "tokenizer" / "tokenizer.json",)


def test_the_first_directory_wins(model_folder: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "more" / "toy")
    assert discover([tmp_path / "more", model_folder.parent])["toy"].folder == tmp_path / "more" / "toy"


def test_an_unknown_pipeline_lists_the_known_ones(model_folder: Path) -> None:
    write_json(model_folder / "model_index.json", {"_class_name": "NoPipeline"})
    with pytest.raises(ManifestError, match=r"'NoPipeline'; known are .*StableDiffusionPipeline"):
        load_source(model_folder)
    with pytest.raises(ManifestError):
        discover([model_folder.parent])


def test_a_folder_without_index_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="not a diffusers folder"):
        load_source(tmp_path)
