"""The published repository: complete, portable, atomic, and untouched where nothing changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from export import publish as publish_module
from export.build import Artefact
from export.errors import PublishError
from export.options import Backend, PublishOptions, Runtime
from export.prepare import prepare
from export.publish import CONFIG_FILE, MODEL_FILE, SEAL_FILE, Publication, publish
from families.catalog import ModelSource
from families.manifest import Component
from families.manifest_json import parse_manifest
from families.repository import MANIFEST_FILE, ONNX_FILE, WEIGHTS_FOLDER, version_folder


def _publication(
    source: ModelSource, artefact: Artefact, options: PublishOptions | None = None, weights_key: str | None = None
) -> Publication:
    key = weights_key or artefact.key
    return Publication(source, artefact.component, options or PublishOptions(), artefact.folder, key)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def prepared(models_dir: Path, runtime_dir: Path, artefacts: dict[Component, Artefact], tmp_path: Path) -> Path:
    """A runtime folder of the test's own, artefacts built."""
    shutil.copytree(runtime_dir / "artefacts", tmp_path / "runtime" / "artefacts", copy_function=os.link)
    return tmp_path / "runtime"


@pytest.mark.parametrize("component", list(Component))
def test_a_version_folder_has_all_a_component_needs(
    component: Component, source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    assert publish(_publication(source, artefacts[component]), tmp_path)
    version = version_folder(tmp_path, "tiny", component)
    assert {path.name for path in version.iterdir()} == {MANIFEST_FILE, MODEL_FILE, ONNX_FILE, SEAL_FILE}
    assert parse_manifest((version / MANIFEST_FILE).read_text()) == source.manifest
    assert (version.parent / CONFIG_FILE).is_file()
    assert (version / MODEL_FILE).read_text().startswith("from triptych.triton.models.")
    assert not [path for path in version.rglob("*") if path.is_symlink()]


def test_nothing_names_this_machine(source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path) -> None:
    for artefact in artefacts.values():
        publish(_publication(source, artefact), tmp_path)
    for name, content in _files(tmp_path).items():
        assert str(source.folder).encode() not in content, name
        assert str(tmp_path).encode() not in content, name


def test_republishing_touches_nothing(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    publication = _publication(source, artefacts[Component.DENOISER])
    assert publish(publication, tmp_path)
    inode = (tmp_path / publication.name).stat().st_ino
    assert not publish(publication, tmp_path)
    assert (tmp_path / publication.name).stat().st_ino == inode


@pytest.mark.parametrize("change", ["options", "weights", "edited"])
def test_changes_are_published(
    change: str, source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    artefact = artefacts[Component.DENOISER]
    publish(_publication(source, artefact), tmp_path)
    config = tmp_path / "tiny.denoiser" / CONFIG_FILE
    if change == "edited":
        config.write_text("name: 'other'")
    options = PublishOptions(max_rows=3) if change == "options" else None
    assert publish(_publication(source, artefact, options, "other" if change == "weights" else None), tmp_path)
    assert ('"max_rows" value { string_value: "3" }' in config.read_text()) == (change == "options")
    assert 'name: "tiny.denoiser"' in config.read_text()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["tiny.denoiser"]


def test_a_failed_publication_keeps_the_former_one(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication = _publication(source, artefacts[Component.DENOISER])
    publish(publication, tmp_path)
    before = _files(tmp_path)

    def full(origin: Path, destination: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish_module, "link_or_copy", full)
    changed = _publication(source, artefacts[Component.DENOISER], PublishOptions(max_rows=3))
    with pytest.raises(PublishError, match="No space left"):
        publish(changed, tmp_path)
    assert _files(tmp_path) == before


def test_copies_where_links_are_impossible(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def across_devices(origin: Path, destination: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", across_devices)
    publish(_publication(source, artefacts[Component.DENOISER]), tmp_path)
    published = version_folder(tmp_path, "tiny", Component.DENOISER) / ONNX_FILE
    assert published.read_bytes() == (artefacts[Component.DENOISER].folder / ONNX_FILE).read_bytes()


def test_torch_runtime_publishes_weights_and_builds_nothing(models_dir: Path, tmp_path: Path) -> None:
    repository = prepare([models_dir], tmp_path, PublishOptions(runtime=Runtime.TORCH))
    version = version_folder(repository, "tiny", Component.DENOISER)
    assert (version / WEIGHTS_FOLDER / "unet" / "config.json").is_file()
    assert not (version / ONNX_FILE).exists()
    assert not list(tmp_path.glob("artefacts/tiny/*"))


def test_onnxruntime_backend_serves_the_same_graph(
    models_dir: Path, prepared: Path, artefacts: dict[Component, Artefact]
) -> None:
    repository = prepare([models_dir], prepared, PublishOptions(backend=Backend.ONNXRUNTIME))
    version = version_folder(repository, "tiny", Component.TEXT_ENCODER)
    assert not (version / MODEL_FILE).exists()
    assert (version / ONNX_FILE).read_bytes() == (artefacts[Component.TEXT_ENCODER].folder / ONNX_FILE).read_bytes()
    assert (version_folder(repository, "tiny", Component.DENOISER) / MODEL_FILE).is_file()


def test_preparing_again_is_quick_and_imports_no_torch(models_dir: Path, prepared: Path) -> None:
    prepare([models_dir], prepared, PublishOptions())
    program = (
        "import sys, time, json; from pathlib import Path\n"
        "from export.prepare import prepare; from export.options import PublishOptions\n"
        "began = time.perf_counter(); prepare([Path(sys.argv[1])], Path(sys.argv[2]), PublishOptions())\n"
        "heavy = [name for name in ('torch', 'onnx', 'diffusers', 'onnxruntime') if name in sys.modules]\n"
        "print(json.dumps([time.perf_counter() - began, heavy]))"
    )
    arguments = [sys.executable, "-c", program, str(models_dir), str(prepared)]
    seconds, heavy = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
    assert heavy == []
    assert seconds < 1


def test_models_that_are_gone_leave_the_repository(models_dir: Path, prepared: Path, tmp_path: Path) -> None:
    repository = prepare([models_dir], prepared, PublishOptions())
    (repository / "by_hand" / "1").mkdir(parents=True)
    (tmp_path / "none").mkdir()
    prepare([tmp_path / "none"], prepared, PublishOptions())
    assert [path.name for path in repository.iterdir() if path.is_dir()] == ["by_hand"]
