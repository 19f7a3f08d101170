"""Requests for layers in the OpenAPI description: one schema for JSON, one for forms with a file."""

from typing import Any

from pydantic.json_schema import models_json_schema

from gateway.api.layers_request import ImageLayersRequest
from gateway.api.layers_response import LAYERS_EVENTS
from gateway.api.upload_schema import FILE, REF, json_or_form

_EXAMPLES = [
    {"image": "https://images.example.org/poster.png", "prompt": "a poster of a mountain", "layers": 4},
    {"prompt": "a woman in a red dress", "generate": {"size": "128x128"}, "output": "psd"},
]

LAYERS_BODY = json_or_form("ImageLayersRequest", "ImageLayersForm")
LAYERS_EVENT_REFS = [{"$ref": REF.format(model=kind.__name__)} for kind in LAYERS_EVENTS]


def layers_schemas() -> dict[str, Any]:
    """What the document's components need: bodies and events, and what these refer to."""
    kinds = [(ImageLayersRequest, "validation"), *((kind, "serialization") for kind in LAYERS_EVENTS)]
    _, described = models_json_schema(kinds, ref_template=REF)  # type: ignore[arg-type] # literals in a tuple
    schemas: dict[str, Any] = described["$defs"]
    fields = schemas["ImageLayersRequest"]
    fields["anyOf"] = [{"required": ["image"]}, {"required": ["generate", "prompt"]}]
    image = fields["properties"]["image"]
    as_file = {"anyOf": [FILE, {"type": "string"}], "title": image["title"], "description": image["description"]}
    schemas["ImageLayersForm"] = {
        **fields,
        "title": "ImageLayersForm",
        "properties": {**fields["properties"], "image": as_file},
    }
    fields["examples"] = _EXAMPLES
    return schemas
