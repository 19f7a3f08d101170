"""Requests to compose in the OpenAPI description: one schema for JSON, one for forms with files."""

from typing import Any

from pydantic.json_schema import models_json_schema

from gateway.api.layers_compose_request import LayersComposeRequest
from gateway.api.upload_schema import FILE, REF, json_or_form

_EXAMPLE = {
    "layers": [
        {"image": "https://images.example.org/background.png"},
        {"image": "https://images.example.org/person.png", "name": "person", "x": 40, "opacity": 0.8},
        {"image": "https://images.example.org/light.png", "blend_mode": "soft-light"},
    ],
    "output": "psd",
}

COMPOSE_BODY = json_or_form("LayersComposeRequest", "LayersComposeForm")


def compose_schemas() -> dict[str, Any]:
    """What the document's components need."""
    _, described = models_json_schema([(LayersComposeRequest, "validation")], ref_template=REF)
    schemas: dict[str, Any] = described["$defs"]
    fields = schemas["LayersComposeRequest"]
    schemas["LayersComposeForm"] = {
        **fields,
        "title": "LayersComposeForm",
        "additionalProperties": {**FILE, "description": "A picture, by the name that a layer has as its `image`."},
    }
    fields["examples"] = [_EXAMPLE]
    return schemas
