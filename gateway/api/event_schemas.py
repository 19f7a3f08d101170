"""The stream's events in the OpenAPI description: the framework describes only bodies that it serialises itself."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from gateway.api.generation_response import CompletedEvent, PartialImageEvent

EVENT_STREAM: dict[str, Any] = {
    "schema": {
        "oneOf": [
            {"$ref": "#/components/schemas/PartialImageEvent"},
            {"$ref": "#/components/schemas/CompletedEvent"},
            {"$ref": "#/components/schemas/ErrorEnvelope"},
        ]
    }
}
"""Content of a `text/event-stream` answer: the `data` of its events."""


def describe_events(app: FastAPI) -> None:
    """Add the events' schemas to what `/openapi.json` serves."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schemas = generate()["components"]["schemas"]
            _, events = models_json_schema(
                [(PartialImageEvent, "serialization"), (CompletedEvent, "serialization")],
                ref_template="#/components/schemas/{model}",
            )
            schemas.update(events["$defs"])
        return generate()

    # The framework's documented way to extend its description.
    app.openapi = openapi  # type: ignore[method-assign]
