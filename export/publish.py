"""Writes artefacts as a Triton model repository: self-contained, portable, each model appearing in one rename."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from export.errors import PublishError
from export.options import PublishOptions, Runtime
from export.served_models import model_config, model_file, runs_python
from export.sources import weights_files
from export.staging import link_or_copy, locked, staged
from export.triton_config import render
from families.catalog import ModelSource
from families.manifest import Component, ModelManifest, triton_model_name
from families.manifest_json import dump_manifest
from families.repository import MANIFEST_FILE, ONNX_FILE, VERSION, WEIGHTS_FOLDER

CONFIG_FILE = "config.pbtxt"
MODEL_FILE = "model.py"
SEAL_FILE = "published.json"
"""In the version folder: what was published, so that publishing it again can tell that there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One component as it goes into a repository. `artefact` is the folder with the ONNX file, None for torch.

    `weights_key` changes whenever the weights, or what was compiled from them, do.
    """

    source: ModelSource
    component: Component
    options: PublishOptions
    artefact: Path | None
    weights_key: str

    @property
    def name(self) -> str:
        """Triton's name of it."""
        return triton_model_name(self.source.manifest.name, self.component)


def needs_artefact(component: Component, options: PublishOptions) -> bool:
    """Whether a component is served from a compiled file, or from the diffusers folder's weights."""
    return options.runtime is Runtime.ONNXRUNTIME or not runs_python(component, options)


def publish(publication: Publication, repository: Path) -> bool:
    """Make `<repository>/<model>.<component>` be this publication; False where it already was.

    Raises PublishError and leaves the former state when a file cannot be written.
    """
    folder = repository / publication.name
    texts = generated_files(publication.source.manifest, publication.component, publication.options)
    seal = _seal(publication, texts)
    if _is_published(folder, texts, seal):
        return False
    try:
        with locked(repository / "publish"):  # one lock file, which Triton takes for no model
            if _is_published(folder, texts, seal):
                return False
            with staged(folder) as staging:
                _fill(staging, publication, texts)
                (staging / VERSION / SEAL_FILE).write_text(seal, encoding="utf-8")
    except OSError as error:
        raise PublishError(f"{folder} cannot be written: {error}") from error
    return True


def generated_files(manifest: ModelManifest, component: Component, options: PublishOptions) -> dict[str, str]:
    """Text by path inside the model's folder: everything that is written, not linked."""
    texts = {
        CONFIG_FILE: render(model_config(manifest, component, options)),
        f"{VERSION}/{MANIFEST_FILE}": dump_manifest(manifest),
    }
    if runs_python(component, options):
        texts[f"{VERSION}/{MODEL_FILE}"] = model_file(component)
    return texts


def _seal(publication: Publication, texts: dict[str, str]) -> str:
    """JSON that is equal exactly when two publications are."""
    digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()
    kind = "onnx" if publication.artefact is not None else "weights"
    return json.dumps({"files": digest, "kind": kind, "weights": publication.weights_key}, indent=2) + "\n"


def _is_published(folder: Path, texts: dict[str, str], seal: str) -> bool:
    """Whether the folder holds this very publication, its generated files unedited."""
    expected = {**texts, f"{VERSION}/{SEAL_FILE}": seal}
    try:
        return all((folder / name).read_text(encoding="utf-8") == text for name, text in expected.items())
    except OSError:
        return False


def _fill(folder: Path, publication: Publication, texts: dict[str, str]) -> None:
    version = folder / VERSION
    version.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    if publication.artefact is not None:
        for path in sorted(publication.artefact.glob(f"{ONNX_FILE}*")):  # the graph and, over 2 GB, its weights
            link_or_copy(path, version / path.name)
        return
    source, component = publication.source, publication.component
    for path in weights_files(source, component):
        link_or_copy(path, version / WEIGHTS_FOLDER / path.relative_to(source.folder))
