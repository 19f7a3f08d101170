"""What the page asks the API for, under the API's names. Fields that are None are left to the server."""

from pydantic import BaseModel, ConfigDict, Field

Written = int | float | str | None
"""A number, or what a visitor wrote instead of one: the API says what is wrong with it."""


class Order(BaseModel):
    """Base: a request that becomes a job."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    run_async: bool = Field(default=True, serialization_alias="async")

    def body(self) -> str:
        """As JSON."""
        return self.model_dump_json(by_alias=True, exclude_none=True)

    def form(self) -> dict[str, str | list[str]]:
        """As fields of a form; lists are repeated fields."""
        values = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {
            name: [_text(item) for item in value] if isinstance(value, list) else _text(value)
            for name, value in values.items()
        }


class GenerationOrder(Order):
    """`POST /v1/images/generations`."""

    prompt: str
    negative_prompt: str | None = None
    model: str | None = None
    n: int = 1
    size: str | None = None
    seed: Written = None
    num_inference_steps: Written = None
    deterministic: bool = False
    partial_images: int = 3


class TryOnOrder(Order):
    """`POST /v1/tryon-fast` and `/v1/tryon-premium`; the pictures go beside it as files."""

    category: str | None = None
    garment_photo_type: str | None = None
    merge_style: str | None = None
    preserve: tuple[str, ...] | None = None
    num_samples: int = 1
    candidates: int | None = None
    seed: Written = None
    num_inference_steps: Written = None
    guidance_scale: Written = None
    deterministic: bool = False
    return_intermediates: bool = True
    partial_images: int = 3


class LayersOrder(Order):
    """`POST /v1/images/layers`; the picture goes beside it as a file, or `generate` has one drawn from the prompt."""

    prompt: str | None = None
    generate: dict[str, str] | None = None
    layers: str | None = None
    resolution: int | None = None
    seed: Written = None
    num_inference_steps: Written = None
    deterministic: bool = False
    partial_images: int = 3


def _text(value: bool | float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
