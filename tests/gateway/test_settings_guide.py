"""The operating guide lists every setting, and no other."""

import re
from pathlib import Path

from pydantic import BaseModel

from gateway.settings import Settings

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "operating.md"


def keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= keys(kind, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def test_every_setting_is_in_the_guide() -> None:
    sections = set(Settings.model_fields)
    table = "\n".join(line for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("| `"))
    first_cells = "\n".join(line.split("|")[1] for line in table.splitlines())
    listed = {key for key in re.findall(r"`([a-z_.]+)`", first_cells) if key.split(".")[0] in sections}
    assert listed == keys(Settings)
