"""The quality run, with a server that paints the true scene."""

import asyncio
import base64
import io
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image
from pydantic import TypeAdapter

from benchmarks.generate import Asking, Pixels, generate_all
from benchmarks.machine import fingerprint
from benchmarks.processes import free_port
from benchmarks.quality import Evaluation, check, store
from wardrobe.evaluation import Scores, heldout_captions
from wardrobe.world.render import render

ITEMS = heldout_captions()[:6]
PERFECT = Scores(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 6)


async def ask(app: FastAPI, asking: Asking) -> tuple[tuple[Pixels, ...], int]:
    """All the pictures, and how often `done` was called."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    calls: list[None] = []
    try:
        captions = [item.caption for item in ITEMS]
        pictures = await generate_all(f"http://127.0.0.1:{port}", captions, asking, lambda: calls.append(None))
    finally:
        server.should_exit = True
        await task
    return pictures, len(calls)


async def test_pictures_come_in_the_captions_order_with_their_own_seeds() -> None:
    app = FastAPI()
    scenes = {item.caption: item.scene for item in ITEMS}
    bodies: list[dict[str, object]] = []

    @app.post("/v1/images/generations")
    async def generate(body: dict[str, object]) -> dict[str, object]:
        bodies.append(body)
        await asyncio.sleep(0.002 * int(str(body["seed"])) % 0.007)
        buffer = io.BytesIO()
        Image.fromarray(render(scenes[str(body["prompt"])]).image).save(buffer, "PNG")
        return {"created": 0, "data": [{"b64_json": base64.b64encode(buffer.getvalue()).decode()}]}

    pictures, calls = await ask(app, Asking("wardrobe", at_once=3, steps=8))
    assert calls == len(ITEMS)
    for item, picture in zip(ITEMS, pictures, strict=True):
        assert np.array_equal(picture, render(item.scene).image)
    assert sorted(int(str(body["seed"])) for body in bodies) == list(range(len(ITEMS)))
    assert all(body["num_inference_steps"] == 8 and "scheduler" not in body for body in bodies)


@pytest.mark.parametrize(
    ("scores", "passed"),
    [
        (PERFECT, [True, True, True, True]),
        (Scores(0.95, 0.90, 0.85, 0.95, 0, 0, 0, 0, 0, 6), [True, True, True, True]),
        (Scores(0.949, 0.89, 0.84, 0.949, 1, 1, 1, 1, 0, 6), [False, False, False, False]),
    ],
)
def test_promises(scores: Scores, passed: list[bool]) -> None:
    assert [target.passed for target in check(scores)] == passed


def test_an_evaluation_is_stored(tmp_path: Path) -> None:
    evaluation = Evaluation("2030-01-02T03:04:05", Asking("wardrobe"), PERFECT, check(PERFECT), fingerprint())
    path = store(evaluation, tmp_path)
    assert path.name == "2030-01-02-quality.json"
    assert TypeAdapter(Evaluation).validate_json(path.read_bytes()) == evaluation
