"""One try-on over HTTP, as a user would ask for it."""

import base64
import io
import time
from dataclasses import dataclass

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel

Pixels = npt.NDArray[np.uint8]
"""[height, width, 3], sRGB."""
Mask = npt.NDArray[np.bool_]
"""[height, width]."""
ROUTES = {"fast": "/v1/tryon-fast", "premium": "/v1/tryon-premium"}
TIMEOUT_S = 600.0


class Picture(BaseModel):
    """Of the answer; `score` by the server's own judgement."""

    b64_json: str
    seed: int
    score: float | None = None


class Named(BaseModel):
    """What a stage made."""

    name: str
    b64_json: str


class Timing(BaseModel):
    """Seconds of one stage."""

    stage: str
    seconds: float


class Answer(BaseModel):
    """What is read of a route's answer."""

    data: list[Picture]
    category: str
    timings: list[Timing]
    intermediates: list[Named] = []


@dataclass(frozen=True, slots=True)
class Dressed:
    """A finished request: its picture, what the server says it drew anew, its score, and its seconds by stage."""

    pixels: Pixels
    mask: Mask | None
    score: float | None
    category: str
    seconds: float
    stages: dict[str, float]


@dataclass(frozen=True, slots=True)
class Asking:
    """`inspect`: the mask is wanted too, which costs a picture more."""

    mode: str
    person: Pixels
    garment: Pixels
    seed: int
    inspect: bool = False


async def try_on(client: httpx.AsyncClient, asking: Asking) -> Dressed:
    """Raises httpx.HTTPError for anything but a picture."""
    body = {
        "model_image": data_uri(asking.person),
        "garment_image": data_uri(asking.garment),
        "seed": asking.seed,
        "response_format": "b64_json",
        "return_intermediates": asking.inspect,
    }
    began = time.perf_counter()
    response = await client.post(ROUTES[asking.mode], json=body, timeout=TIMEOUT_S)
    seconds = time.perf_counter() - began
    if response.is_error:
        raise httpx.HTTPStatusError(response.text, request=response.request, response=response)
    answer = Answer.model_validate_json(response.content)
    shown = {picture.name: picture.b64_json for picture in answer.intermediates}
    return Dressed(
        pixels=_pixels(answer.data[0].b64_json),
        mask=_pixels(shown["mask"])[..., 0] > 0 if "mask" in shown else None,
        score=answer.data[0].score,
        category=answer.category,
        seconds=seconds,
        stages={timing.stage: timing.seconds for timing in answer.timings},
    )


def data_uri(pixels: Pixels) -> str:
    """A PNG file as a data URI."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _pixels(encoded: str) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))
