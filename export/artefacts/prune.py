"""Removing artefacts that nobody needs, and what dead builds left behind."""

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from export.artefacts.staging import lock_file, locked, partial_folder
from export.artefacts.store import ArtefactStore, StoredArtefact
from export.artefacts.usage import StoredUse
from export.errors import ExportError

_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class PruneRule:
    """What stays although nobody uses it: the `keep` newest of each component, and all younger than `older_than` s."""

    keep: int = 0
    older_than: float = 0.0


def parse_age(text: str) -> float:
    """Seconds of `90s`, `30m`, `12h`, `7d`, `2w`. Raises ExportError."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise ExportError(f"{text!r} is no age; write a number and one of {', '.join(_SECONDS)}, such as 7d")
    return float(found[1]) * _SECONDS[found[2]]


def superfluous(uses: Iterable[StoredUse], rule: PruneRule, now: float) -> tuple[StoredArtefact, ...]:
    """The artefacts to remove, the oldest first. `now` is in seconds since the epoch."""
    unused = [use.artefact for use in uses if not use.users]
    kept: dict[tuple[str, str, str], int] = {}
    chosen = []
    for artefact in sorted(unused, key=lambda one: -one.record.created):
        kind = (artefact.model, artefact.key.component.value, artefact.key.target.value)
        kept[kind] = kept.get(kind, 0) + 1
        if kept[kind] > rule.keep and now - artefact.record.created >= rule.older_than:
            chosen.append(artefact)
    return tuple(reversed(chosen))


def remove(folder: Path) -> None:
    """Remove an artefact so that nobody ever sees half of it."""
    with locked(folder):
        leaving = partial_folder(folder)
        shutil.rmtree(leaving, ignore_errors=True)
        if folder.exists():
            folder.rename(leaving)
            shutil.rmtree(leaving)


def remove_remains(store: ArtefactStore) -> tuple[Path, ...]:
    """Remove staging folders whose builder is dead; the paths. Those of builds under way are locked and stay."""
    removed = []
    for path in sorted(store.root.glob("*/.*.partial")):
        folder = path.with_name(path.name.removeprefix(".").removesuffix(".partial"))
        try:
            with FileLock(lock_file(folder), timeout=0):
                shutil.rmtree(path)
                removed.append(path)
        except Timeout:
            continue
    return tuple(removed)
