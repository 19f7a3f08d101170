"""A recipe: what is compiled, how, and for what. Read from `configs/export/*.yaml`; an unknown key is an error.

Sides are pixels. Nothing here imports a tensor library.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from families.batching import MAX_ROWS
from families.manifest import Component


class Target(StrEnum):
    """Compilers by name; the name is part of every artefact's key."""

    ONNX = "onnx"
    TENSORRT = "tensorrt"
    TENSORRT_RTX = "tensorrt-rtx"


class Precision(StrEnum):
    """What the graph computes in. Inputs and outputs keep the types of the component's signature."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


class QuantisationMethod(StrEnum):
    """How weights, and where named activations, are quantised."""

    INT8_SMOOTHQUANT = "int8-smoothquant"
    INT8_WEIGHT_ONLY = "int8-weight-only"
    FP8 = "fp8"
    NVFP4 = "nvfp4"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Section):
    """A dynamic axis: an engine runs from `min` to `max` and is tuned at `opt`."""

    min: int = Field(ge=1)
    opt: int = Field(ge=1)
    max: int = Field(ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min <= self.opt <= self.max:
            raise ValueError(f"min <= opt <= max must hold, got {self.min}, {self.opt}, {self.max}")
        return self


class ShapeProfile(_Section):
    """What an engine is tuned for. `width`, `height` in pixels, None for the model's own range."""

    batch: Range = Range(min=1, opt=2, max=MAX_ROWS)
    width: Range | None = None
    height: Range | None = None
    text_length: Range | None = Field(default=None, description="Only where a component's text axis is dynamic.")


class Quantisation(_Section):
    """Calibration runs real prompts through the real sampler."""

    method: QuantisationMethod
    components: tuple[Component, ...] = (Component.DENOISER,)
    alpha: float = Field(
        default=0.8, ge=0, le=1, description="SmoothQuant: how much moves from activations to weights."
    )
    calibration_prompts: int = Field(default=32, ge=1)
    calibration_steps: int = Field(default=20, ge=1)
    exclude: tuple[str, ...] = Field(
        default=("*time_embedding*", "*conv_in*", "*conv_out*", "*norm_out*", "*proj_out*", "*pos_embed*"),
        description="Modules by glob that stay as they are.",
    )


class RecipeLora(_Section):
    """An adapter that is merged into the weights."""

    name: str
    scale: float = Field(default=1.0, ge=-5, le=5)


class EngineFlags(_Section):
    """Options of the TensorRT builders; both kinds take the same."""

    builder_level: int = Field(default=3, ge=0, le=5)
    workspace_mib: int | None = Field(default=None, ge=1, description="Default: whatever the device has.")
    refit: bool = False
    weight_streaming: bool = False
    version_compatible: bool = False
    compute_capabilities: tuple[str, ...] = Field(
        default=(), description="TensorRT-RTX: targets such as 8.9; default: the machine's own GPU, or all without one."
    )


class Recipe(_Section):
    """One build. `name` is the file's name; `components` are built in their order."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    model: str
    components: tuple[Component, ...] | None = Field(default=None, description="Default: all that the model has.")
    target: Target = Target.ONNX
    precision: Precision = Precision.FP32
    component_precision: dict[Component, Precision] = Field(
        default={}, description="Components that compute in another precision: SDXL's VAE overflows in fp16."
    )
    profiles: tuple[ShapeProfile, ...] = Field(default=(ShapeProfile(),), min_length=1)
    quantisation: Quantisation | None = None
    engine: EngineFlags = EngineFlags()
    loras: tuple[RecipeLora, ...] = Field(default=(), description="Merged into the weights before all else.")
    publish_as: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="The model's name with `loras` merged, beside which the model itself stays what it is.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.components is not None and (not self.components or len(set(self.components)) != len(self.components)):
            raise ValueError("components: name at least one, and each one once")
        if bool(self.loras) != (self.publish_as is not None):
            raise ValueError("loras and publish_as: a model with merged LoRA needs a name of its own; give both")
        if len({lora.name for lora in self.loras}) < len(self.loras):
            raise ValueError("loras: each one once")
        sections = {"component_precision": tuple(self.component_precision)}
        if self.quantisation is not None:
            sections["quantisation.components"] = self.quantisation.components
        built = tuple(Component) if self.components is None else self.components
        for key, named in sections.items():
            if strangers := [component.value for component in named if component not in built]:
                allowed = ", ".join(component.value for component in built)
                raise ValueError(f"{key}: {', '.join(strangers)} is not built; components are {allowed}")
        return self

    def precision_of(self, component: Component) -> Precision:
        """What a component's graph computes in."""
        return self.component_precision.get(component, self.precision)

    def quantisation_of(self, component: Component) -> Quantisation | None:
        """How a component is quantised, narrowed to it; None where the recipe leaves it as it is."""
        if self.quantisation is None or component not in self.quantisation.components:
            return None
        return self.quantisation.model_copy(update={"components": (component,)})


def default_recipe(model: str) -> Recipe:
    """What is built where no recipe is named: every component as an ONNX graph in fp32."""
    return Recipe(name="default", model=model)
