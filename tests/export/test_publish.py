"""The published repository: complete, portable, atomic, and untouched where nothing changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from export.artefacts.artefact import Artefact
from export.artefacts.staging import link_or_copy
from export.errors import PublishError
from export.publishing import publish as publish_module
from export.publishing.options import Backend, PublishOptions, Runtime
from export.publishing.prepare import prepare
from export.publishing.publication import GpuEngine, Publication
from export.publishing.publish import prune_others, publish
from export.publishing.release import CONFIG_FILE, MODEL_FILE, NO_BYTECODE
from export.publishing.seal import SEAL_FILE
from families.catalog import ModelSource
from families.manifest import Component
from families.manifest_json import parse_manifest
from families.repository import (
    MANIFEST_FILE,
    ONNX_FILE,
    PLAN_FILE,
    WEIGHTS_FOLDER,
    newest_release,
    version_folder,
    versions,
)
from families.serving_mark import ServingMark


def _publications(
    source: ModelSource,
    artefacts: dict[Component, Artefact],
    options: PublishOptions | None = None,
    changed: Component | None = None,
    mark: str = "other",
) -> list[Publication]:
    """The whole model; `changed` is the component whose weights are `mark`."""
    return [
        Publication(
            source,
            component,
            options or PublishOptions(),
            artefacts[component].folder,
            mark if component is changed else artefacts[component].key,
        )
        for component in Component
    ]


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _untouched(folder: Path) -> dict[str, tuple[int, int]]:
    """What would differ if anything below had been replaced, rewritten or renamed."""
    paths = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def _served(repository: Path, name: str) -> list[int]:
    """The versions that a Triton would take by the configuration."""
    config = text_format.Parse((repository / name / CONFIG_FILE).read_text(), model_config_pb2.ModelConfig())
    return list(config.version_policy.specific.versions)


@pytest.fixture
def prepared(models_dir: Path, runtime_dir: Path, artefacts: dict[Component, Artefact], tmp_path: Path) -> Path:
    """A runtime folder of the test's own, artefacts built."""
    shutil.copytree(runtime_dir / "artefacts", tmp_path / "runtime" / "artefacts", copy_function=os.link)
    return tmp_path / "runtime"


def test_a_version_folder_has_all_a_component_needs(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    published = publish(_publications(source, artefacts), tmp_path)
    assert (published.version, published.changed) == (1, frozenset(Component))
    assert published.names == ("tiny.text_encoder", "tiny.denoiser", "tiny.vae_encoder", "tiny.vae_decoder")
    for component in Component:
        version = version_folder(tmp_path, "tiny", component)
        assert {path.name for path in version.iterdir()} == {
            MANIFEST_FILE,
            MODEL_FILE,
            ONNX_FILE,
            SEAL_FILE,
            NO_BYTECODE,
        }
        assert parse_manifest((version / MANIFEST_FILE).read_text()) == source.manifest
        assert (version / MODEL_FILE).read_text().startswith("from triptych.triton.models.")
        assert not [path for path in version.rglob("*") if path.is_symlink()]
        assert _served(tmp_path, f"tiny.{component.value}") == [1]


def test_nothing_names_this_machine(source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path) -> None:
    publish(_publications(source, artefacts), tmp_path)
    for name, content in _files(tmp_path).items():
        assert str(source.folder).encode() not in content, name
        assert str(tmp_path).encode() not in content, name


def test_republishing_touches_nothing(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    publish(_publications(source, artefacts), tmp_path)
    before = _untouched(tmp_path)
    again = publish(_publications(source, artefacts), tmp_path)
    assert (again.version, again.changed) == (1, frozenset())
    assert _untouched(tmp_path) == before


def test_changed_weights_become_the_next_version_of_every_component(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    publish(_publications(source, artefacts), tmp_path)
    before = {part: _untouched(version_folder(tmp_path, "tiny", part, 1)) for part in Component}
    published = publish(_publications(source, artefacts, changed=Component.DENOISER), tmp_path)
    assert (published.version, published.changed) == (2, frozenset(Component))
    for part in Component:
        assert _untouched(version_folder(tmp_path, "tiny", part, 1)) == before[part], "the served version was touched"
        assert _served(tmp_path, f"tiny.{part.value}") == [2]
        assert version_folder(tmp_path, "tiny", part).name == "2"


def test_changed_options_replace_the_configuration_alone(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    publish(_publications(source, artefacts), tmp_path)
    before = _untouched(tmp_path / "tiny.denoiser" / "1")
    published = publish(_publications(source, artefacts, PublishOptions(max_rows=3)), tmp_path)
    assert (published.version, published.changed) == (1, {Component.DENOISER})
    assert '"max_rows" value { string_value: "3" }' in (tmp_path / "tiny.denoiser" / CONFIG_FILE).read_text()
    assert _untouched(tmp_path / "tiny.denoiser" / "1") == before


def test_pruning_removes_other_models_but_none_that_is_served_and_nothing_of_others(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    publish(_publications(source, artefacts), tmp_path)
    (tmp_path / "foreign" / "1").mkdir(parents=True)
    text, denoiser = (f"tiny.{part}" for part in (Component.TEXT_ENCODER, Component.DENOISER))
    published = {f"tiny.{part}" for part in Component}
    assert prune_others(tmp_path, ["tiny"]) == ((), ())
    mark = ServingMark(tmp_path / denoiser / "1")
    gone, served = prune_others(tmp_path, ["another"])
    assert (set(gone), served) == (published - {denoiser}, (denoiser,))
    assert not (tmp_path / text).exists()
    mark.release()
    assert prune_others(tmp_path, ["another"]) == ((denoiser,), ())
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"foreign"}


@pytest.mark.parametrize(("name", "version"), [(CONFIG_FILE, 1), (f"1/{MODEL_FILE}", 2), (f"1/{SEAL_FILE}", 2)])
def test_files_edited_by_hand_are_not_served_again(
    name: str, version: int, source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    publish(_publications(source, artefacts), tmp_path)
    (tmp_path / "tiny.denoiser" / name).write_text("edited")
    assert publish(_publications(source, artefacts), tmp_path).version == version
    assert (version_folder(tmp_path, "tiny", Component.DENOISER) / MODEL_FILE).read_text() != "edited"
    assert _served(tmp_path, "tiny.denoiser") == [version]


def test_what_an_interrupted_publication_left_is_completed(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    publish(_publications(source, artefacts), tmp_path)
    publish(_publications(source, artefacts, changed=Component.VAE_DECODER), tmp_path)
    for name in ("tiny.denoiser", "tiny.vae_decoder"):  # as if it had been killed after the first component
        shutil.rmtree(tmp_path / name / "2")
        config = tmp_path / name / CONFIG_FILE
        config.write_text(config.read_text().replace("versions: [ 2 ]", "versions: [ 1 ]"))
    (tmp_path / "tiny.denoiser" / ".2.partial").mkdir()
    assert newest_release(tmp_path, "tiny") == 1
    published = publish(_publications(source, artefacts, changed=Component.VAE_DECODER), tmp_path)
    assert (published.version, newest_release(tmp_path, "tiny")) == (2, 2)
    assert not list(tmp_path.rglob(".2.partial"))


def test_old_versions_go_unless_they_are_served(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    def release(mark: int, keep: int = 2) -> list[int]:
        publish(_publications(source, artefacts, changed=Component.DENOISER, mark=str(mark)), tmp_path, keep)
        assert versions(tmp_path / "tiny.denoiser") == versions(tmp_path / "tiny.text_encoder")
        return list(versions(tmp_path / "tiny.denoiser"))

    assert [release(mark) for mark in range(3)] == [[1], [1, 2], [2, 3]]
    marks = [ServingMark(version_folder(tmp_path, "tiny", part, 2)) for part in Component]
    assert release(3) == [2, 3, 4]
    assert release(4) == [2, 4, 5]
    for mark in marks:
        mark.release()
    assert release(5, keep=1) == [6]


def test_a_failed_publication_keeps_the_former_one(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(_publications(source, artefacts), tmp_path)
    before = _files(tmp_path)
    calls = 0

    def full_after_two(origin: Path, destination: Path) -> None:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise OSError(28, "No space left on device")
        link_or_copy(origin, destination)

    monkeypatch.setattr(publish_module, "link_or_copy", full_after_two)
    with pytest.raises(PublishError, match=r"tiny cannot be published.*No space left"):
        publish(_publications(source, artefacts, changed=Component.DENOISER), tmp_path)
    assert _files(tmp_path) == before
    monkeypatch.undo()
    assert publish(_publications(source, artefacts, changed=Component.DENOISER), tmp_path).version == 2


def test_the_native_denoiser_comes_and_goes_with_its_option(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path
) -> None:
    publish(_publications(source, artefacts), tmp_path)
    native = publish(_publications(source, artefacts, PublishOptions(native_denoiser=True)), tmp_path)
    assert native.version == 1 and "tiny.denoiser_native" in native.names
    assert (tmp_path / "tiny.denoiser_native" / "1" / ONNX_FILE).is_file()
    publish(_publications(source, artefacts), tmp_path)
    assert not (tmp_path / "tiny.denoiser_native").exists()


def _engine(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / PLAN_FILE).write_text(text)
    return folder


def test_engines_for_several_gpus_share_a_version(source: ModelSource, tmp_path: Path) -> None:
    options = PublishOptions(runtime=Runtime.TENSORRT, backend=Backend.TENSORRT)
    one, other = _engine(tmp_path / "a", "for 8.9"), _engine(tmp_path / "b", "for 9.0")
    engines = (GpuEngine("8.9", one), GpuEngine("9.0", other))
    publication = Publication(source, Component.VAE_DECODER, options, one, "key", engines)
    publish([publication], tmp_path / "repository")
    version = version_folder(tmp_path / "repository", "tiny", Component.VAE_DECODER)
    assert (version / "model.sm89.plan").read_text() == "for 8.9"
    assert (version / "model.sm90.plan").read_text() == "for 9.0"
    assert not (version / PLAN_FILE).exists()
    config = text_format.Parse((version.parent / CONFIG_FILE).read_text(), model_config_pb2.ModelConfig())
    assert config.platform == "tensorrt_plan"
    assert dict(config.cc_model_filenames) == {"8.9": "model.sm89.plan", "9.0": "model.sm90.plan"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PublishOptions(runtime=Runtime.TENSORRT), "tiny.text_encoder: the runtime tensorrt needs model.plan"),
        (PublishOptions(backend=Backend.TENSORRT), "tiny.text_encoder: the backend tensorrt needs model.plan"),
    ],
)
def test_an_artefact_of_another_target_is_refused(
    options: PublishOptions,
    message: str,
    source: ModelSource,
    artefacts: dict[Component, Artefact],
    tmp_path: Path,
) -> None:
    with pytest.raises(PublishError, match=message):
        publish(_publications(source, artefacts, options), tmp_path)
    assert not list(tmp_path.glob("tiny.*/[0-9]*"))


def test_copies_where_links_are_impossible(
    source: ModelSource, artefacts: dict[Component, Artefact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def across_devices(origin: Path, destination: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", across_devices)
    publish(_publications(source, artefacts), tmp_path)
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
        "from export.publishing.prepare import prepare; from export.publishing.options import PublishOptions\n"
        "began = time.process_time(); prepare([Path(sys.argv[1])], Path(sys.argv[2]), PublishOptions())\n"
        "heavy = [name for name in ('torch', 'onnx', 'diffusers', 'onnxruntime') if name in sys.modules]\n"
        "print(json.dumps([time.process_time() - began, heavy]))"
    )
    arguments = [sys.executable, "-c", program, str(models_dir), str(prepared)]
    seconds, heavy = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
    assert heavy == []
    # Of this process alone, and a core that others use makes that more too.
    assert seconds < 3


def test_models_that_are_gone_leave_the_repository(models_dir: Path, prepared: Path, tmp_path: Path) -> None:
    repository = prepare([models_dir], prepared, PublishOptions())
    (repository / "by_hand" / "1").mkdir(parents=True)
    (tmp_path / "none").mkdir()
    prepare([tmp_path / "none"], prepared, PublishOptions())
    assert [path.name for path in repository.iterdir() if path.is_dir()] == ["by_hand"]
