"""One picture taken apart over HTTP, as a user would ask for it."""

import base64
import io
import time
from dataclasses import dataclass

import httpx
import numpy as np
from PIL import Image
from pydantic import BaseModel

from benchmarks.tryon.asking import Pixels, data_uri

ROUTE = "/v1/images/layers"
TIMEOUT_S = 600.0


class Part(BaseModel):
    """A layer of the answer."""

    name: str
    b64_json: str


class Whole(BaseModel):
    """All layers over one another."""

    b64_json: str


class Answer(BaseModel):
    """What is read of the route's answer; `recomposition_psnr` None: there is no difference at all."""

    data: list[Part]
    composite: Whole
    recomposition_psnr: float | None


@dataclass(frozen=True, slots=True)
class Apart:
    """A finished request: RGBA layers [L, height, width, 4] bottom to top, and what they are together."""

    layers: Pixels
    names: tuple[str, ...]
    composite: Pixels
    psnr: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Asking:
    """`layers` None: as many as the model usually makes, without empty ones."""

    picture: Pixels
    seed: int
    layers: int | None = None
    steps: int | None = None
    model: str | None = None


async def take_apart(client: httpx.AsyncClient, asking: Asking) -> Apart:
    """Raises httpx.HTTPError for anything but layers."""
    body = {
        "image": data_uri(asking.picture),
        "seed": asking.seed,
        "layers": asking.layers,
        "num_inference_steps": asking.steps,
        "model": asking.model,
        "response_format": "b64_json",
    }
    began = time.perf_counter()
    response = await client.post(ROUTE, json=body, timeout=TIMEOUT_S)
    seconds = time.perf_counter() - began
    if response.is_error:
        raise httpx.HTTPStatusError(response.text, request=response.request, response=response)
    answer = Answer.model_validate_json(response.content)
    return Apart(
        layers=np.stack([_pixels(part.b64_json) for part in answer.data]),
        names=tuple(part.name for part in answer.data),
        composite=_pixels(answer.composite.b64_json),
        psnr=answer.recomposition_psnr,
        seconds=seconds,
    )


def _pixels(encoded: str) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA"))
