"""How an adapter was trained, as diffusers writes it into the file's header: it decides how strongly it acts."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from families.lora.errors import LoraError
from families.lora.keys import LoraPart, part_of
from families.sources.header import Header

METADATA_KEY = "lora_adapter_metadata"


@dataclass(frozen=True, slots=True)
class _PartTraining:
    """peft's `lora_alpha`, `alpha_pattern` (by ends of layers' names) and `use_rslora` of one part."""

    alpha: float | None = None
    alphas: Mapping[str, float] = field(default_factory=dict)
    root: bool = False


@dataclass(frozen=True, slots=True)
class Training:
    """By part; what the file does not say is alpha equal to the rank."""

    parts: Mapping[LoraPart, _PartTraining]

    def factor(self, part: LoraPart, layer: str, rank: int) -> float:
        """What `up @ down` is multiplied by where the file has no tensor that says so."""
        told = self.parts.get(part, _PartTraining())
        ends = (value for end, value in told.alphas.items() if layer == end or layer.endswith(f".{end}"))
        alpha = next(ends, told.alpha)
        if alpha is None or rank == 0:
            return 1.0
        return alpha / (math.sqrt(rank) if told.root else rank)


def read_training(header: Header) -> Training:
    """Raises LoraError where the metadata cannot be read, or tells of a kind of adapter that is none of ours."""
    text = header.metadata.get(METADATA_KEY)
    if text is None:
        return Training({})
    try:
        values = json.loads(text)
        flat: dict[str, Any] = dict(values)
    except (ValueError, TypeError) as error:
        raise LoraError(f"{header.path}: its metadata {METADATA_KEY!r} is no JSON object") from error
    parts: dict[LoraPart, dict[str, Any]] = {}
    for name, value in flat.items():
        folder, _, setting = name.partition(".")
        part = part_of(folder)
        if part is not None:
            parts.setdefault(part, {})[setting] = value
    return Training({part: _part(header, settings) for part, settings in parts.items()})


def _part(header: Header, settings: Mapping[str, Any]) -> _PartTraining:
    if settings.get("use_dora"):
        raise LoraError(f"{header.path} is a DoRA, which scales whole weights; only LoRA is known")
    try:
        alpha = settings.get("lora_alpha")
        patterns = {str(end): float(value) for end, value in (settings.get("alpha_pattern") or {}).items()}
        return _PartTraining(None if alpha is None else float(alpha), patterns, bool(settings.get("use_rslora")))
    except (TypeError, ValueError, AttributeError) as error:
        raise LoraError(f"{header.path}: its metadata {METADATA_KEY!r} has an alpha that is no number") from error
