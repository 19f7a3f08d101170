"""The stream's events in the OpenAPI description: the framework describes only bodies that it serialises itself."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from gateway.api.generation_stream import EDIT_EVENTS, GENERATION_EVENTS, EventKinds
from gateway.api.job_events import JOB_EVENTS
from gateway.api.layers_compose_schema import compose_schemas
from gateway.api.layers_schema import layers_schemas
from gateway.api.tryon_schema import tryon_schemas


def event_stream(events: EventKinds) -> dict[str, Any]:
    """Content of a `text/event-stream` answer: the `data` of its events."""
    names = (events.partial.__name__, events.completed.__name__, "ErrorEnvelope")
    return {"schema": {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]}}


def describe_events(app: FastAPI) -> None:
    """Add the events' schemas to what `/openapi.json` serves."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schemas = generate()["components"]["schemas"]
            kinds = [kind for events in (GENERATION_EVENTS, EDIT_EVENTS) for kind in (events.partial, events.completed)]
            _, events = models_json_schema(
                [(kind, "serialization") for kind in (*kinds, *JOB_EVENTS)], ref_template="#/components/schemas/{model}"
            )
            schemas.update(events["$defs"] | tryon_schemas() | layers_schemas() | compose_schemas())
        return generate()

    # The framework's documented way to extend its description.
    app.openapi = openapi  # type: ignore[method-assign]
