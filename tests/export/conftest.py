"""One tiny model, built once for every test of the package."""

from pathlib import Path

import pytest

from export.build import Artefact, Builder
from families.catalog import ModelSource, load_source
from families.manifest import Component
from tests.support.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model, `tiny`."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder / "tiny")
    return folder


@pytest.fixture(scope="session")
def source(models_dir: Path) -> ModelSource:
    return load_source(models_dir / "tiny")


@pytest.fixture(scope="session")
def runtime_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tiny model is built; tests read it and change copies."""
    return tmp_path_factory.mktemp("runtime")


@pytest.fixture(scope="session")
def artefacts(source: ModelSource, runtime_dir: Path) -> dict[Component, Artefact]:
    """The built components."""
    return {artefact.component: artefact for artefact in Builder(runtime_dir).build(source)}
