"""How a layered model wants to be asked, as the `layers` of its own `triptych.json` say.

`"layers": {"resolutions": [128], "usual": 5, "minimum": 2, "maximum": 10, "names": [["background", "person"], ...]}`;
where it is silent, as Qwen-Image-Layered.
"""

from pathlib import Path
from typing import Any

from families.card import CARD_FILE
from families.errors import ManifestError
from families.manifest import LayerRule
from families.sources.configs import ConfigFolders

_KEY = "layers"
_NUMBERS = ("minimum", "maximum", "usual")
_KNOWN = (*_NUMBERS, "resolutions", "names")


def layer_rule(configs: ConfigFolders) -> LayerRule:
    """The card's rule. Raises ManifestError naming the key that does not fit."""
    file = configs.find(CARD_FILE)
    said = configs.read(CARD_FILE).get(_KEY, {}) if configs.has(CARD_FILE) else {}
    if not isinstance(said, dict):
        raise ManifestError(f"{file}: {_KEY} must be an object")
    unknown = sorted(set(said) - set(_KNOWN))
    if unknown:
        raise ManifestError(f"{file}: {_KEY} has no {', '.join(unknown)}; it has {', '.join(_KNOWN)}")
    usual = LayerRule()
    least, most, open_count = (_count(file, said, key, getattr(usual, key)) for key in _NUMBERS)
    if not least <= open_count <= most:
        raise ManifestError(f"{file}: {_KEY}.usual must be from {least} to {most}, got {open_count}")
    resolutions = _resolutions(file, said.get("resolutions", list(usual.resolutions)), usual.multiple)
    names = _names(file, said.get("names", []), least, most)
    return LayerRule(least, most, open_count, resolutions, usual.multiple, names)


def _count(file: Path, said: dict[str, Any], key: str, usual: int) -> int:
    value = said.get(key, usual)
    if not _is_count(value):
        raise ManifestError(f"{file}: {_KEY}.{key} must be a number of layers, at least 1, got {value!r}")
    return int(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _resolutions(file: Path, value: Any, multiple: int) -> tuple[int, ...]:
    if not (isinstance(value, list) and value and all(_is_count(side) and side % multiple == 0 for side in value)):
        raise ManifestError(f"{file}: {_KEY}.resolutions must be a list of multiples of {multiple}, got {value!r}")
    return tuple(value)


def _names(file: Path, value: Any, least: int, most: int) -> tuple[tuple[str, ...], ...]:
    lists: list[Any] = value if isinstance(value, list) else [None]
    if not all(isinstance(names, list) and all(isinstance(name, str) and name for name in names) for names in lists):
        raise ManifestError(f"{file}: {_KEY}.names must be lists of names, bottom to top, got {value!r}")
    counts = [len(names) for names in lists]
    if len(set(counts)) < len(counts) or not all(least <= count <= most for count in counts):
        raise ManifestError(
            f"{file}: {_KEY}.names must be one list a number of layers from {least} to {most}, got lists of {counts}"
        )
    return tuple(tuple(names) for names in lists)
