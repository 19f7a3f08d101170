"""What the name of an adapter's tensor says, in every naming in use: whose layer, which layer, which matrix.

diffusers and peft write `unet.<layer>.lora_A.weight`, their older versions `unet.<layer>.lora.down.weight`; kohya's
scripts `lora_unet_<layer with underscores>.lora_down.weight`; and `diffusion_model.` stands before the denoiser's
layers in files made for ComfyUI.
"""

from dataclasses import dataclass
from enum import StrEnum


class LoraPart(StrEnum):
    """Parts of a model that adapters change; text encoders by diffusers' folder names."""

    DENOISER = "denoiser"
    TEXT_ENCODER = "text_encoder"
    TEXT_ENCODER_2 = "text_encoder_2"
    TEXT_ENCODER_3 = "text_encoder_3"


class LoraRole(StrEnum):
    """What a tensor is to its layer: the change is `alpha / rank * up @ down`."""

    DOWN = "down"
    UP = "up"
    ALPHA = "alpha"


@dataclass(frozen=True, slots=True)
class LoraKey:
    """`layer` is the layer's name with underscores for dots, as far as the file tells it."""

    part: LoraPart
    layer: str
    role: LoraRole


_DENOISERS = frozenset({"unet", "transformer"})
# The first that fits is taken, so what is longer stands before what it begins with.
_PREFIXES: tuple[tuple[str, LoraPart], ...] = (
    ("base_model.model.unet.", LoraPart.DENOISER),
    ("base_model.model.", LoraPart.DENOISER),
    ("lora_unet_", LoraPart.DENOISER),
    ("lora_transformer_", LoraPart.DENOISER),
    ("unet.", LoraPart.DENOISER),
    ("transformer.", LoraPart.DENOISER),
    ("diffusion_model.", LoraPart.DENOISER),
    ("lora_te1_", LoraPart.TEXT_ENCODER),
    ("lora_te2_", LoraPart.TEXT_ENCODER_2),
    ("lora_te3_", LoraPart.TEXT_ENCODER_3),
    ("lora_te_", LoraPart.TEXT_ENCODER),
    ("text_encoder_3.", LoraPart.TEXT_ENCODER_3),
    ("text_encoder_2.", LoraPart.TEXT_ENCODER_2),
    ("text_encoder.", LoraPart.TEXT_ENCODER),
)
_ENDINGS: tuple[tuple[str, LoraRole], ...] = (
    (".lora_A.weight", LoraRole.DOWN),
    (".lora_A.default.weight", LoraRole.DOWN),
    (".lora_down.weight", LoraRole.DOWN),
    (".lora.down.weight", LoraRole.DOWN),
    (".lora_linear_layer.down.weight", LoraRole.DOWN),
    ("_lora.down.weight", LoraRole.DOWN),
    (".lora_B.weight", LoraRole.UP),
    (".lora_B.default.weight", LoraRole.UP),
    (".lora_up.weight", LoraRole.UP),
    (".lora.up.weight", LoraRole.UP),
    (".lora_linear_layer.up.weight", LoraRole.UP),
    ("_lora.up.weight", LoraRole.UP),
    (".alpha", LoraRole.ALPHA),
)
KNOWN_ENDINGS: tuple[str, ...] = tuple(ending for ending, _ in _ENDINGS)


def part_of(folder: str) -> LoraPart | None:
    """The part whose weights diffusers keeps in a folder of this name; None for parts that adapters leave alone."""
    if folder in _DENOISERS:
        return LoraPart.DENOISER
    return LoraPart(folder) if folder in set(LoraPart) - {LoraPart.DENOISER} else None


def read_key(name: str) -> LoraKey | None:
    """What a tensor's name says; None where it is not a LoRA's. Names without a prefix are of the denoiser."""
    ending = next(((ending, role) for ending, role in _ENDINGS if name.endswith(ending)), None)
    if ending is None:
        return None
    rest = name.removesuffix(ending[0])
    prefix, part = next((found for found in _PREFIXES if rest.startswith(found[0])), ("", LoraPart.DENOISER))
    layer = rest.removeprefix(prefix).replace(".processor.", ".")
    return LoraKey(part, layer.replace(".", "_"), ending[1])
