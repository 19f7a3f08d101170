"""One tiny model, built once for every test of the package."""

import logging
from pathlib import Path

import pytest

from export.artefacts.artefact import Artefact
from export.build import Builder
from export.verification.samples import ReferenceSamples
from families.catalog import ModelSource, load_source
from families.manifest import Component
from tests.support.tiny_model import write_tiny_model

# pytest gives its handler to every logger that does not propagate. With any handler, this one has torch write down each
# step of an export with its stack, which takes longer than the export.
logging.getLogger("torch.__trace").propagate = True


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
def samples(source: ModelSource) -> ReferenceSamples:
    """Its trajectories and torch's own pictures, drawn once for every check."""
    return ReferenceSamples(source)


@pytest.fixture(scope="session")
def artefacts(source: ModelSource, runtime_dir: Path) -> dict[Component, Artefact]:
    """The built components."""
    return {artefact.component: artefact for artefact in Builder(runtime_dir).build(source)}
