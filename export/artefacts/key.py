"""What an artefact depends on, field by field: equal keys mean equal files, and two keys can say where they differ.

Imports no tensor library: asking whether a build is needed must take milliseconds.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, ValidationError

from export.errors import CorruptArtefactError
from export.recipe import EngineFlags, Precision, Quantisation, ShapeProfile, Target
from families.manifest import Component

KEY_FILE = "key.json"
_DIGITS = 16


class Dialect(StrEnum):
    """Whose operators a graph may use: ONNX Runtime's own ones are faster there and unknown elsewhere."""

    ONNXRUNTIME = "onnxruntime"
    PORTABLE = "portable"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GraphKey(_Part):
    """What decides the ONNX graph. `exporter` is this package's revision, `packages` versions by name.

    `signature` is the hash of the component's inputs and outputs: the same weights may come to serve other shapes.
    """

    weights: str
    signature: str = ""
    precision: Precision
    dialect: Dialect
    quantisation: Quantisation | None = None
    calibration: str = ""
    exporter: int
    packages: dict[str, str]


class EngineKey(_Part):
    """What decides an engine beyond its graph. `environment`: compiler, CUDA, GPU."""

    profiles: tuple[ShapeProfile, ...]
    flags: EngineFlags
    environment: dict[str, str]


class ArtefactKey(_Part):
    """Everything that one component's files depend on."""

    component: Component
    target: Target
    graph: GraphKey
    engine: EngineKey | None = None

    @property
    def digest(self) -> str:
        """A short name; it is the end of the artefact folder's name."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]

    @property
    def compiler(self) -> str:
        """One line for people: what compiles."""
        packages = ", ".join(f"{name} {version}" for name, version in self.graph.packages.items())
        return f"triptych-export {self.graph.exporter}, {packages}"

    def dump(self) -> str:
        """Readable, stable JSON."""
        return self.model_dump_json(indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Difference:
    """A field, dotted, with its values in two keys; an empty string where one has no such field."""

    field: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.field}: {self.before or '(none)'} -> {self.after or '(none)'}"


def parse_key(text: str) -> ArtefactKey:
    """The inverse of `ArtefactKey.dump`. Raises CorruptArtefactError on anything else."""
    try:
        return ArtefactKey.model_validate_json(text)
    except ValidationError as error:
        raise CorruptArtefactError(f"not an artefact's key: {error.error_count()} mistakes") from error


def differences(before: ArtefactKey, after: ArtefactKey) -> tuple[Difference, ...]:
    """Every field whose values differ, in the order of the key."""
    old, new = dict(_flat(before.model_dump(mode="json"))), dict(_flat(after.model_dump(mode="json")))
    fields = dict.fromkeys([*new, *old])
    pairs = ((field, old.get(field, ""), new.get(field, "")) for field in fields)
    return tuple(Difference(field, was, now) for field, was, now in pairs if was != now)


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Leaves by their dotted path; hashes are cut to what a person compares."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _flat(entry, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _flat(entry, f"{path}[{index}]")
    elif value is not None and value != "":
        yield path, str(value)
