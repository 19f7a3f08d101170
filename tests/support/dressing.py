"""Draws try-ons with all of the stack but its HTTP, in-process, and holds them against a reference."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from families.catalog import ModelSource
from gateway.adapters.inprocess import InProcessBackend
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.domain.tryon_drawing import TryOnDrawing
from gateway.pipelines.models import ModelLibrary
from gateway.pipelines.tryon.draw import TryOnDraw
from gateway.settings import BackendSettings
from tests.support.published import publish


def drawing_of(model: str, width: int, height: int, **changes: object) -> TryOnDrawing:
    """A person, a garment and a mask that are all over their pictures, the same for one size; `changes` of fields."""
    generator = np.random.default_rng(width * 1000 + height)
    coarse = generator.integers(0, 256, (2, -(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    person, garment = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height * 3 // 4 + 3, width // 5 : width * 4 // 5 + 1] = True
    fields: dict[str, object] = {
        "model": model,
        "person": person,
        "mask": mask,
        "garment": garment,
        "seeds": (7,),
        "steps": 4,
        "guidance_scale": 2.5,
        "scheduler": "ddim",
    }
    return TryOnDrawing(**(fields | changes))  # type: ignore[arg-type]


def shown(drawing: TryOnDrawing) -> str:
    """The name of a case."""
    return f"{drawing.size}, {len(drawing.seeds)}, guidance {drawing.guidance_scale:g}, {drawing.steps} steps"


@asynccontextmanager
async def open_dressing(source: ModelSource, repository: Path) -> AsyncIterator[TryOnDraw]:
    """Publishes the model's weights into `repository` and opens it on the torch runtime."""
    for component in source.manifest.components:
        publish(source, repository, component, onnx=False)
    name = source.manifest.name
    backend = InProcessBackend(repository, [name], BackendSettings(kind="inprocess", runtime="torch", threads=1))
    await backend.open()
    try:
        yield TryOnDraw(backend, ModelLibrary({name: source}, None), PrometheusTelemetry())
    finally:
        await backend.close()
