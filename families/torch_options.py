"""How the torch runtime computes: options that the gateway's settings, the export and the engine spell alike."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum


class TorchDType(StrEnum):
    """Numbers of weights and activations. AUTO: what suits the device."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Offload(StrEnum):
    """Weights that wait in host memory: those of a whole component between its calls, or of each layer."""

    NONE = "none"
    MODEL = "model"
    SEQUENTIAL = "sequential"


class AttentionSlicing(StrEnum):
    """Attention in pieces: in two (AUTO), or head by head (MAX)."""

    NONE = "none"
    AUTO = "auto"
    MAX = "max"


class CompileMode(StrEnum):
    """torch.compile's modes; NONE does not compile."""

    NONE = "none"
    DEFAULT = "default"
    REDUCE_OVERHEAD = "reduce-overhead"
    MAX_AUTOTUNE = "max-autotune"


class Switch(StrEnum):
    """AUTO: what suits the device."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class TorchOptions:
    """`vae_slicing` decodes a batch picture by picture, `vae_tiling` a large picture in overlapping tiles.

    `attention_slicing` None: what suits the device.
    """

    dtype: TorchDType = TorchDType.AUTO
    vae_slicing: Switch = Switch.AUTO
    vae_tiling: Switch = Switch.AUTO
    attention_slicing: AttentionSlicing | None = None
    offload: Offload = Offload.NONE
    compile: CompileMode = CompileMode.NONE

    @classmethod
    def parse(cls, values: Mapping[str, str]) -> "TorchOptions":
        """From names and values as text. Raises ValueError naming what is not known and what is allowed."""
        options: dict[str, StrEnum] = {}
        for name, value in values.items():
            kind = _KINDS.get(name)
            if kind is None:
                raise ValueError(f"unknown torch option {name!r}; known are {', '.join(_KINDS)}")
            try:
                options[name] = kind(value)
            except ValueError:
                raise ValueError(f"torch option {name!r} must be one of {', '.join(kind)}, not {value!r}") from None
        return cls(**options)  # type: ignore[arg-type]  # each of the kind that its field has

    def dump(self) -> tuple[tuple[str, str], ...]:
        """What differs from the defaults, as text."""
        default = TorchOptions()
        names = (field.name for field in fields(self))
        return tuple(
            (name, str(getattr(self, name))) for name in names if getattr(self, name) != getattr(default, name)
        )


_KINDS: Mapping[str, type[StrEnum]] = {
    "dtype": TorchDType,
    "vae_slicing": Switch,
    "vae_tiling": Switch,
    "attention_slicing": AttentionSlicing,
    "offload": Offload,
    "compile": CompileMode,
}
TORCH_PARAMETER = "torch_"
"""Begins the name of Triton's model parameter that is an option."""
