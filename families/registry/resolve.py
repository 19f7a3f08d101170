"""Finds one alias: its environment variable, then its patterns in the roots, then the embedded models.

Everything that is looked at goes into the report. Nothing is ever written below a root.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from families.catalog import FAMILIES
from families.embedded import embedded_models
from families.errors import ManifestError
from families.registry.content import Content, identify
from families.registry.declaration import ModelEntry
from families.registry.inventory import Inventory, take_inventory
from families.registry.patterns import matches
from families.registry.report import LookedAt, ModelReport, Origin, OriginKind, Status


@dataclass(frozen=True, slots=True)
class Resolution:
    """A report without its digest, and the files to hash; None where there is nothing to hash."""

    report: ModelReport
    inventory: Inventory | None


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: Path
    origin: Origin
    inventory: Inventory
    content: Content


class _Search:
    """One alias being looked for."""

    def __init__(self, entry: ModelEntry) -> None:
        self._entry = entry
        self._looked: list[LookedAt] = []
        self._problems: list[str] = []
        self._candidates: list[_Candidate] = []

    def in_environment(self, environment: Mapping[str, str]) -> bool:
        """Whether the variable is set. Then nothing else counts, even where it leads nowhere."""
        variable = self._entry.variable
        value = environment.get(variable, "")
        if not value:
            self._look(variable, "not set" if variable not in environment else "empty")
            return False
        path = Path(value)
        if _is_there(path):
            self._consider(path, Origin(kind=OriginKind.ENVIRONMENT, variable=variable), variable)
        else:
            self._look(variable, f"{path} does not exist")
            self._problems.append(f"{variable} names {path}, which does not exist; unset it to search the roots")
        return True

    def in_roots(self, roots: tuple[Path, ...]) -> None:
        """Every match, by root, then pattern, then name."""
        for root in roots:
            if not _is_there(root):
                self._look(str(root), "no such folder")
                continue
            for pattern in self._entry.patterns:
                found = [path for path in matches(root, pattern) if not self._seen(path)]
                if not found:
                    self._look(str(root / pattern), "no match")
                for path in found:
                    self._consider(path, Origin(kind=OriginKind.ROOT, root=root, pattern=pattern), str(path))

    def in_package(self) -> None:
        """The models that ship with Triptych."""
        if self._entry.embedded is None:
            return
        try:
            path = embedded_models() / self._entry.embedded
        except ManifestError as error:
            self._look("embedded models", str(error))
            return
        if _is_there(path):
            self._consider(path, Origin(kind=OriginKind.EMBEDDED), str(path))
        else:
            self._look(str(path), "no such folder")

    def resolution(self) -> Resolution:
        """The first candidate that may be read is chosen; without one, the first that may not is shown."""
        usable = [candidate for candidate in self._candidates if candidate.content.refusal is None]
        chosen = next(iter(usable or self._candidates), None)
        if chosen is None:
            return Resolution(self._report(Status.MISSING, None), None)
        status = Status.FOUND if usable else Status.REFUSED
        return Resolution(self._report(status, chosen), chosen.inventory if usable else None)

    def _consider(self, path: Path, origin: Origin, place: str) -> None:
        inventory = take_inventory(path)
        content = identify(path, inventory)
        if content.refusal is not None:
            outcome = f"refused: {content.refusal}"
        elif any(earlier.content.refusal is None for earlier in self._candidates):
            outcome = "an earlier match wins"
        else:
            outcome = "chosen"
        self._look(place, outcome)
        self._candidates.append(_Candidate(path, origin, inventory, content))

    def _seen(self, path: Path) -> bool:
        return any(candidate.path == path for candidate in self._candidates)

    def _look(self, place: str, outcome: str) -> None:
        self._looked.append(LookedAt(place=place, outcome=outcome))

    def _report(self, status: Status, chosen: _Candidate | None) -> ModelReport:
        entry, content = self._entry, chosen.content if chosen else Content()
        return ModelReport(
            alias=entry.alias,
            status=status,
            path=chosen.path if chosen else None,
            origin=chosen.origin if chosen else None,
            format=content.format,
            size_bytes=chosen.inventory.size if chosen else None,
            file_count=len(chosen.inventory.files) if chosen else None,
            digest=None,
            family=content.family,
            declared_family=entry.family,
            servable=entry.sees or (content.family or entry.family) in FAMILIES,
            licence=entry.licence,
            commercial_use=entry.commercial_use,
            variable=entry.variable,
            repository=entry.repository,
            looked_at=tuple(self._looked),
            others=tuple(
                other.path for other in self._candidates if other is not chosen and other.content.refusal is None
            ),
            problems=(*self._problems, *(_problems(entry, chosen) if chosen else ())),
        )


def _problems(entry: ModelEntry, chosen: _Candidate) -> Iterator[str]:
    if chosen.content.refusal is not None:
        yield f"{chosen.path} is refused: {chosen.content.refusal}"
    yield from chosen.content.problems
    yield from (f"{name} cannot be read" for name in chosen.inventory.unreadable)
    family = chosen.content.family
    if family is not None and family != entry.family:
        yield f"declared as {entry.family}, but the content is {family}"


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, or a folder on the way that may not be entered
        return False


def resolve(entry: ModelEntry, roots: tuple[Path, ...], environment: Mapping[str, str]) -> Resolution:
    """Look for one alias. Raises nothing: what is wrong is in the report."""
    search = _Search(entry)
    if not search.in_environment(environment):
        search.in_roots(roots)
        search.in_package()
    return search.resolution()
