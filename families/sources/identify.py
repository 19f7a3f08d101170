"""Tells what a weights file holds from the names and shapes of its tensors, never from its own name."""

from dataclasses import dataclass
from pathlib import Path

from families.errors import CheckpointError
from families.sources.header import Header, TensorEntry
from families.sources.read import read_header
from families.sources.signatures import KNOWN_FAMILIES, SHARED, SIGNATURES, Axis, Naming, Signature

_DENOISERS = ("unet", "transformer")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class FoundPart:
    """A part of a model inside a file: its tensors are those whose names begin with `prefix`.

    `overlay`: they are only some of the part's, to be laid over a whole one.
    """

    name: str
    naming: Naming
    prefix: str
    overlay: bool = False


@dataclass(frozen=True, slots=True)
class LocatedPart:
    """A part and its tensors."""

    part: FoundPart
    entries: tuple[TensorEntry, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A weights file that was recognised. `parts` never has two of one name."""

    header: Header
    family: str
    parts: tuple[FoundPart, ...]

    def part(self, name: str) -> FoundPart | None:
        """The part of this diffusers name, if the file holds it."""
        return next((part for part in self.parts if part.name == name), None)


def identify(path: Path) -> Checkpoint:
    """Read the header of `path` and recognise it. Raises CheckpointError where that is impossible."""
    header = read_header(path)
    found = _rows(header)
    if not found:
        names = ", ".join(sorted(header.tensors)[:_SHOWN]) or "none"
        raise CheckpointError(
            f"{path} holds no known model: none of its {len(header.tensors)} tensors ({names}, ...) are of "
            f"{', '.join(KNOWN_FAMILIES)}"
        )
    return Checkpoint(header, _family(path, {name: row for name, (row, _) in found.items()}), find_parts(header))


def find_parts(header: Header) -> tuple[FoundPart, ...]:
    """The parts that a file holds; none where nothing is recognised."""
    return tuple(FoundPart(name, row.naming, prefix, row.overlay) for name, (row, prefix) in _rows(header).items())


def locate_part(header: Header, name: str) -> LocatedPart:
    """A part's tensors in a file that is known to hold it.

    Without a prefix they are all that no other part claims by one. A part that is not recognised has diffusers' names
    and the whole file, or will fail when its tensors are given to a module.
    """
    parts = find_parts(header)
    found = next((part for part in parts if part.name == name), FoundPart(name, Naming.DIFFUSERS, ""))
    others = tuple(part.prefix for part in parts if part.name != name and part.prefix)
    entries = (entry for entry in header.tensors.values() if entry.name.startswith(found.prefix))
    return LocatedPart(found, tuple(entry for entry in entries if not entry.name.startswith(others)))


def _rows(header: Header) -> dict[str, tuple[Signature, str]]:
    """By part, the first signature that fits and the prefix under which it does."""
    found: dict[str, tuple[Signature, str]] = {}
    for row in SIGNATURES:
        prefix = _fitting_prefix(header, row)
        if prefix is not None and row.part not in found:
            found[row.part] = (row, prefix)
    return found


def _fitting_prefix(header: Header, row: Signature) -> str | None:
    """The prefix under which a file has this part."""
    for prefix in row.prefixes:
        if not all(prefix + name in header.tensors for name in row.present):
            continue
        if any(prefix + name in header.tensors for name in row.absent):
            continue
        if all(_fits(header, prefix, axis) for axis in row.axes):
            return prefix
    return None


def _fits(header: Header, prefix: str, axis: Axis) -> bool:
    entry = header.tensors.get(prefix + axis.name)
    if entry is None or (axis.rank is not None and len(entry.shape) != axis.rank):
        return False
    return axis.second is None or entry.shape[1:2] == (axis.second,)


def _family(path: Path, rows: dict[str, Signature]) -> str:
    """The denoiser's family; without one, what the other parts agree on."""
    own = [rows[name].family for name in _DENOISERS if name in rows]
    if own:
        return own[0]
    families = {row.family for row in rows.values()}
    distinct = families - SHARED or families
    if len(distinct) > 1:
        raise CheckpointError(f"{path} mixes parts of {', '.join(sorted(distinct))} and has no denoiser")
    return distinct.pop()
