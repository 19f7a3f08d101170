"""Forms in the OpenAPI description: the framework describes only bodies that it parses itself."""

from typing import Any

from gateway.api.problems import StrictBody

REF = "#/components/schemas/{model}"
FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
_KINDS = "A PNG, JPEG or WebP file, upright by its EXIF, still."
_PARTLY = "Without a mask its own transparent parts are drawn anew, unless the model takes pictures as references."

ONE_IMAGE: dict[str, Any] = {"image": {**FILE, "title": "Image", "description": _KINDS}}
SEVERAL_IMAGES: dict[str, Any] = {
    "image": {
        "anyOf": [FILE, {"type": "array", "items": FILE}],
        "title": "Image",
        "description": (
            f"{_KINDS} Several, as `image` or `image[]`, for models that take pictures as references; the first is the "
            f"one that is changed. {_PARTLY}"
        ),
    },
    "mask": {
        **FILE,
        "title": "Mask",
        "description": (
            "As large as the first image, with an alpha channel: what is transparent is drawn anew, what is opaque "
            "stays exactly as it was."
        ),
    },
}


def form_body(request: type[StrictBody], files: dict[str, Any]) -> dict[str, Any]:
    """For a route's `openapi_extra`: the request's fields and these files, of which `image` is required."""
    schema = request.model_json_schema(ref_template=REF)
    # What the fields refer to stands in the document already: generations have the same fields.
    schema.pop("$defs", None)
    schema["properties"] = {**files, **schema["properties"]}
    schema["required"] = ["image", *schema.get("required", [])]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def json_or_form(request: str, form: str) -> dict[str, Any]:
    """For a route's `openapi_extra`: schemas of the document by their names."""
    contents = {"application/json": request, "multipart/form-data": form}
    content = {kind: {"schema": {"$ref": REF.format(model=name)}} for kind, name in contents.items()}
    return {"requestBody": {"required": True, "content": content}}
