"""What the registry says about a model: where it came from, everything that was looked at, and what it is.

The same types are the answer of `GET /v1/registry` and of `triptych models resolve --json`.
"""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Status(StrEnum):
    """Whether there is something to serve."""

    FOUND = "found"
    MISSING = "missing"
    REFUSED = "refused"
    """Something lies there, but nothing that may be read: a pickle, or no model at all."""


class ModelFormat(StrEnum):
    """How weights are stored."""

    DIFFUSERS = "diffusers"
    SAFETENSORS = "safetensors"
    GGUF = "gguf"
    ONNX = "onnx"


class OriginKind(StrEnum):
    """Which of the three places named the path."""

    ENVIRONMENT = "environment"
    ROOT = "root"
    EMBEDDED = "embedded"


class Origin(_Part):
    """Why this path: a variable, or a pattern below a root, or the package itself."""

    kind: OriginKind
    variable: str | None = None
    root: Path | None = None
    pattern: str | None = None


class DigestState(StrEnum):
    """Hashing reads every byte, so it may still be under way."""

    DONE = "done"
    PENDING = "pending"
    FAILED = "failed"


class Digest(_Part):
    """sha256 of a file; of a folder: of its sorted list of names, sizes and files' sha256."""

    state: DigestState
    sha256: str | None = None


class LookedAt(_Part):
    """One place, in the order of the search, and what came of it."""

    place: str = Field(examples=["storage/sd15"])
    outcome: str = Field(examples=["no match"])


class ModelReport(_Part):
    """One alias."""

    alias: str = Field(examples=["sd15"])
    status: Status
    path: Path | None = Field(description="As configured: relative roots give relative paths.")
    origin: Origin | None
    format: ModelFormat | None
    size_bytes: int | None = Field(description="Of a folder: all its files.")
    file_count: int | None
    digest: Digest | None
    family: str | None = Field(description="Read from the content; null where the content does not tell.")
    declared_family: str
    servable: bool = Field(description="Whether this family can be served; the others are recognised only.")
    licence: str
    commercial_use: bool
    variable: str = Field(description="The environment variable that overrides the search.")
    repository: str | None = Field(description="Hugging Face repository that `triptych download` takes.")
    looked_at: tuple[LookedAt, ...]
    others: tuple[Path, ...] = Field(description="Further matches, which an earlier one won over.")
    problems: tuple[str, ...]
