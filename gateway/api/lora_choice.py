"""The field `lora`: adapters that a request names beside its prompt."""

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from gateway.api.problems import StrictBody
from gateway.pipelines.lora import LARGEST_SCALE, MOST_LORAS


class LoraChoice(StrictBody):
    """One adapter."""

    name: Annotated[str, Field(max_length=200, description="As `/v1/models` lists it, with or without `lora/`.")]
    scale: Annotated[
        float, Field(ge=-LARGEST_SCALE, le=LARGEST_SCALE, description="How strongly it acts. Default 1.")
    ] = 1.0


def _listed(value: Any) -> Any:
    """One object as a list of one; the text of a form's field as the JSON that it must be."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise PydanticCustomError(
                "invalid_value", 'must be JSON such as {"name": "stripes", "scale": 0.8}'
            ) from error
    return [value] if isinstance(value, dict) else value


LoraChoices = Annotated[
    list[LoraChoice] | None,
    BeforeValidator(_listed),
    Field(
        description=(
            f"LoRA of the model, one object or a list of up to {MOST_LORAS}; `<lora:name:scale>` in the prompt says "
            "the same. In a form: JSON."
        ),
        examples=[[{"name": "stripes", "scale": 0.8}]],
    ),
]
