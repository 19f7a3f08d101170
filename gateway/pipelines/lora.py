"""Adapters (LoRA) that a request asks for: `<lora:name:scale>` tags in its prompt, and what the model has of them."""

import math
import re
from collections.abc import Sequence

from families.lora.files import LoraFile
from families.manifest import Component
from gateway.domain.backend import Lora
from gateway.domain.errors import InvalidRequest
from gateway.pipelines.models import ServedModel

LORA_PREFIX = "lora/"
"""Before the ids that `/v1/models` lists; with it or without, a name finds its adapter."""
LARGEST_SCALE = 5.0
MOST_LORAS = 8

_TAG = re.compile(r"\s*<lora:([^<>]*)>", re.IGNORECASE)
_SHOWN = 100


def split_tags(prompt: str) -> tuple[str, tuple[Lora, ...]]:
    """The prompt without its tags, and what they ask for; a tag without a scale means 1. Raises InvalidRequest."""
    asked = tuple(_tag(content) for content in _TAG.findall(prompt))
    return (_TAG.sub("", prompt).strip(), asked) if asked else (prompt, ())


def check_loras(asked: Sequence[Lora]) -> tuple[Lora, ...]:
    """Without prefixes; each once and of a bearable strength. Raises InvalidRequest."""
    loras = tuple(Lora(lora.name.removeprefix(LORA_PREFIX), lora.scale) for lora in asked)
    if len(loras) > MOST_LORAS:
        raise InvalidRequest(f"{len(loras)} LoRA are asked for; allowed: at most {MOST_LORAS}", param="lora")
    for at, lora in enumerate(loras):
        if any(lora.name == other.name for other in loras[:at]):
            raise InvalidRequest(f"the LoRA {lora.name[:_SHOWN]!r} is asked for twice", param="lora")
        if not (math.isfinite(lora.scale) and abs(lora.scale) <= LARGEST_SCALE):
            raise InvalidRequest(
                f"the scale of the LoRA {lora.name[:_SHOWN]!r} is {lora.scale:g}; "
                f"allowed: {-LARGEST_SCALE:g} to {LARGEST_SCALE:g}",
                param="lora",
            )
    return loras


def known_loras(asked: Sequence[Lora], model: ServedModel) -> tuple[LoraFile, ...]:
    """The files of what is asked for. Raises InvalidRequest for a name that the model has not, or cannot use."""
    files = {file.name: file for file in model.loras}
    for lora in asked:
        file = files.get(lora.name)
        if file is None:
            known = ", ".join(file.name for file in model.loras if file.problem is None) or "none"
            raise InvalidRequest(
                f"unknown LoRA {lora.name[:_SHOWN]!r}; {model.public_id} has {known}",
                code="lora_not_found",
                param="lora",
            )
        if file.problem is not None:
            raise InvalidRequest(
                f"the LoRA {lora.name!r} cannot be used with {model.public_id}: {file.problem}", param="lora"
            )
    return tuple(files[lora.name] for lora in asked)


def text_loras(asked: Sequence[Lora], model: ServedModel) -> tuple[Lora, ...]:
    """Those that change the text encoder; of others it need not know, and prompts stay cached."""
    changing = {file.name for file in model.loras if file.adapts(Component.TEXT_ENCODER)}
    return tuple(lora for lora in asked if lora.name in changing)


def tags_of(loras: Sequence[Lora]) -> str:
    """As they are written into prompts, each after a space."""
    return "".join(f" <lora:{lora.name}:{lora.scale:g}>" for lora in loras)


def _tag(content: str) -> Lora:
    name, _, scale = content.partition(":")
    try:
        return Lora(_named(name), float(scale) if scale else 1.0)
    except ValueError as error:
        raise InvalidRequest(
            f"'prompt' has the tag <lora:{content[:_SHOWN]}>; allowed: <lora:name> and <lora:name:scale>",
            param="prompt",
        ) from error


def _named(name: str) -> str:
    if not name.strip():
        raise ValueError("no name")
    return name.strip()
