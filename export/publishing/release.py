"""A release as it should be: what every Triton model of one model holds, and which version number that gets."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from export.errors import PublishError
from export.publishing.options import PublishOptions
from export.publishing.pbtxt import render
from export.publishing.publication import Publication, linked_files, payload
from export.publishing.seal import Seal, read_seal
from export.publishing.served_models import Entry, model_config
from families.contract import contract
from families.errors import ManifestError
from families.manifest import Component, ModelManifest
from families.manifest_json import dump_manifest
from families.repository import FIRST_VERSION, MANIFEST_FILE, versions
from families.tokenizers import definition
from families.vision.manifest import VisionTask

CONFIG_FILE = "config.pbtxt"
MODEL_FILE = "model.py"
NO_BYTECODE = "__pycache__"
"""A file where Python would make a folder: bytecode written into a served version looks to Triton like a change of the
model, and the next request to load it would start it a second time. The stub ignores the variables against it."""


@dataclass(frozen=True, slots=True)
class Plan(ABC):
    """One Triton model as it should be, whatever its version. `texts` are its generated files by name."""

    folder: Path
    texts: dict[str, str]
    seal: Seal

    @property
    @abstractmethod
    def part(self) -> Component | VisionTask:
        """What it is of its model."""

    @abstractmethod
    def config(self, version: int) -> str:
        """The text of `config.pbtxt` that serves this version."""

    @abstractmethod
    def files(self) -> Iterator[tuple[Path, Path]]:
        """(file, its place in the version folder) of what is linked."""

    def has(self, version: int) -> bool:
        """Whether this very version is there, its generated files unedited."""
        folder = self.folder / str(version)
        return read_seal(folder) == self.seal and all(_text(folder / name) == text for name, text in self.texts.items())

    def is_configured(self, version: int) -> bool:
        """Whether `config.pbtxt` serves this version, as it should."""
        return _text(self.folder / CONFIG_FILE) == self.config(version)


@dataclass(frozen=True, slots=True)
class EntryPlan(Plan):
    """Of one component of a model."""

    publication: Publication
    entry: Entry

    @property
    def part(self) -> Component | VisionTask:
        """See Plan."""
        return self.entry.component

    def config(self, version: int) -> str:
        """See Plan."""
        source, options = self.publication.source, self.publication.options
        engines = self.publication.engine_files(self.entry)
        return render(model_config(source.manifest, self.entry, options, version=version, engines=engines))

    def files(self) -> Iterator[tuple[Path, Path]]:
        """See Plan. Raises PublishError where the artefact lacks what the entry needs."""
        return linked_files(self.publication, self.entry)


def version_texts(manifest: ModelManifest, entry: Entry, options: PublishOptions) -> dict[str, str]:
    """Text by name inside the version folder: everything there that is written, not linked."""
    texts = {MANIFEST_FILE: dump_manifest(manifest)}
    if entry.runs_python(options):
        texts |= {MODEL_FILE: entry.model_file(), NO_BYTECODE: ""}
    return texts


def entry_plans(publication: Publication, repository: Path) -> Iterator[EntryPlan]:
    """The Triton models of one component. Raises PublishError where the tokenizer cannot be read."""
    source, options = publication.source, publication.options
    try:
        agreed = contract(source.manifest, [definition(file) for file in source.tokenizer_files])
    except ManifestError as error:
        raise PublishError(f"{source.manifest.name}: its tokenizer cannot be read: {error}") from error
    for entry in publication.entries:
        texts = version_texts(source.manifest, entry, options)
        kind = payload(entry, options).value + "".join(
            f" {engine.compute_capability}" for engine in publication.engines
        )
        seal = Seal(contract=agreed, kind=kind, texts=texts_digest(texts), weights=publication.weights_key)
        yield EntryPlan(repository / entry.name(source.manifest.name), texts, seal, publication, entry)


def texts_digest(texts: Mapping[str, str]) -> str:
    """Of generated files by name."""
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


def release_version(plans: Sequence[Plan]) -> int:
    """The newest version where it is what is wanted, as far as it is there; else the next one."""
    newest = max((version for plan in plans for version in versions(plan.folder)), default=None)
    if newest is None:
        return FIRST_VERSION
    wanted = all(plan.has(newest) for plan in plans if newest in versions(plan.folder))
    return newest if wanted else newest + 1


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
