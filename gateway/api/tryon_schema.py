"""Try-on requests in the OpenAPI description: one schema for JSON, one for forms with files."""

from typing import Any

from pydantic.json_schema import models_json_schema

from gateway.api.tryon_body import PICTURE_FIELDS
from gateway.api.tryon_request import TryOnRequest
from gateway.api.tryon_response import TRYON_EVENTS
from gateway.api.upload_schema import FILE, REF, json_or_form

_PEOPLE = ("model_image", "human_image", "personImage", "sourceImage")
_GARMENTS = ("garment_image", "cloth_image", "productImages", "referenceImage")
_LISTS = ("garment_image", "productImages")
_TEXT = {"type": "string"}
_EXAMPLE = {
    "model_image": "https://images.example.org/person.jpg",
    "garment_image": "data:image/png;base64,iVBORw0KGgo=",
    "category": "tops",
    "num_samples": 2,
    "seed": 7,
}

TRYON_BODY = json_or_form("TryOnRequest", "TryOnForm")


def tryon_schemas() -> dict[str, Any]:
    """What the document's components need: bodies and events, and what these refer to."""
    kinds = [(TryOnRequest, "validation"), *((kind, "serialization") for kind in TRYON_EVENTS)]
    _, described = models_json_schema(kinds, ref_template=REF)  # type: ignore[arg-type] # literals in a tuple
    schemas: dict[str, Any] = described["$defs"]
    fields = schemas["TryOnRequest"]
    fields["allOf"] = [{"anyOf": [{"required": [name]} for name in names]} for names in (_PEOPLE, _GARMENTS)]
    schemas["TryOnForm"] = {**fields, "title": "TryOnForm", "properties": _with_files(fields["properties"])}
    fields["examples"] = [_EXAMPLE]
    return schemas


def _with_files(properties: dict[str, Any]) -> dict[str, Any]:
    """Fields that hold pictures may be files, too."""
    files = {}
    for name in PICTURE_FIELDS:
        known = properties[name]
        kinds: list[dict[str, Any]] = [FILE, _TEXT]
        if name in _LISTS:
            kinds.append({"type": "array", "items": {"anyOf": [FILE, _TEXT]}})
        files[name] = {"anyOf": kinds, "title": known["title"], "description": known["description"]}
    return {**properties, **files}
