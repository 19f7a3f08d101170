"""The seal of a published version: what it holds, so that publishing the same again can tell there is nothing to do."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

SEAL_FILE = "published.json"


class Seal(BaseModel):
    """Equal exactly when two versions are.

    `texts` is a digest of the generated files and `weights` changes whenever the linked ones do, or their `kind`.
    `contract` is what callers must know (`families.contract`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    contract: str
    kind: str
    texts: str
    weights: str

    def dump(self) -> str:
        """Readable, stable JSON."""
        return self.model_dump_json(indent=2) + "\n"


def read_seal(version_folder: Path) -> Seal | None:
    """The seal of a version, None where there is none that can be read."""
    try:
        return Seal.model_validate_json((version_folder / SEAL_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
