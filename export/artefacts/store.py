"""The artefact store: `<runtime dir>/artefacts/<model>/<component>-<key>/`.

An artefact folder appears by one rename after its checks passed, so a folder with a record is whole and right; sizes
are compared at every use all the same, as disks and people break things.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from export.artefacts.artefact import RECORD_FILE, Artefact, ArtefactRecord, check_sizes, read_key, read_record
from export.artefacts.key import ArtefactKey, Difference, differences
from export.errors import CorruptArtefactError

_FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StoredArtefact:
    """An artefact that lies in the store, for whatever recipe."""

    model: str
    folder: Path
    key: ArtefactKey
    record: ArtefactRecord


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The stored artefact that differs least from one that is missing, and where."""

    artefact: StoredArtefact
    differences: tuple[Difference, ...]


class ArtefactStore:
    """Finds artefacts below one folder; writing is the builder's business."""

    def __init__(self, runtime_dir: Path) -> None:
        self.root = runtime_dir / "artefacts"

    def folder(self, model: str, key: ArtefactKey) -> Path:
        """Where the artefact of this key lies, or would lie."""
        return self.root / model / f"{key.component.value}-{key.digest}"

    def failed_folder(self, model: str, key: ArtefactKey) -> Path:
        """Where the report of a build goes that failed its checks."""
        return self.root / model / _FAILED / f"{key.component.value}-{key.digest}"

    def find(self, model: str, key: ArtefactKey) -> Artefact | None:
        """The artefact of this key, None where there is none. Raises CorruptArtefactError where it is broken."""
        folder = self.folder(model, key)
        if not folder.is_dir():
            return None
        check_sizes(folder)
        return Artefact(key.component, key.digest, folder)

    def artefacts(self, model: str | None = None) -> Iterator[StoredArtefact]:
        """Everything that is stored, of one model or of all; broken ones and folders of others are left out."""
        for path in sorted(self.root.glob(f"{model or '*'}/*/{RECORD_FILE}")):
            try:
                yield StoredArtefact(path.parents[1].name, path.parent, read_key(path.parent), read_record(path.parent))
            except CorruptArtefactError:
                continue

    def nearest(self, model: str, key: ArtefactKey) -> Neighbour | None:
        """The artefact of the same component and target which differs in the fewest fields, the newest of equals."""
        candidates = [
            Neighbour(stored, differences(stored.key, key))
            for stored in self.artefacts(model)
            if stored.key.component is key.component and stored.key.target is key.target
        ]
        return min(candidates, key=lambda one: (len(one.differences), -one.artefact.record.created), default=None)
