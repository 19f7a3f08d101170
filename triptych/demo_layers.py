"""One of the demo's people taken apart into layers, put together again, and put somewhere else."""

import time
from dataclasses import dataclass

import numpy as np
import openai
from PIL import Image
from pydantic import BaseModel

from triptych.demo_pictures import data_uri, decoded
from wardrobe.world.sheets import chequered

_SEED = 7


@dataclass(frozen=True, slots=True)
class DemoLayers:
    """A picture, its RGBA layers bottom to top, all of them over one another again, and those of the person in the
    place of another picture; how like the picture they are together, in dB (None: there is no difference), and what
    all took, in seconds.
    """

    picture: Image.Image
    names: tuple[str, ...]
    layers: tuple[Image.Image, ...]
    together: Image.Image
    elsewhere: Image.Image
    psnr: float | None
    seconds: float

    @property
    def rows(self) -> list[tuple[str, tuple[Image.Image, ...]]]:
        """Of the contact sheet."""
        shown = tuple(Image.fromarray(chequered(np.asarray(layer))) for layer in self.layers)
        return [
            (f"layers: a picture taken apart into {', '.join(self.names)}", (self.picture, *shown)),
            ("layers: put together again, and on another background", (self.together, self.elsewhere)),
        ]


class _Part(BaseModel):
    name: str
    b64_json: str


class _Apart(BaseModel):
    data: list[_Part]
    recomposition_psnr: float | None


class _Picture(BaseModel):
    b64_json: str


class _Composed(BaseModel):
    data: list[_Picture]


async def take_apart(client: openai.AsyncOpenAI, picture: Image.Image, place: Image.Image) -> DemoLayers:
    """By the official client; `place` is a picture whose background the person is put on. Raises OpenAIError."""
    began = time.perf_counter()
    apart, ground = await _layers(client, picture), await _layers(client, place)
    names = tuple(part.name for part in apart.data)
    layers = [part.b64_json for part in apart.data]
    together = await _composed(client, layers)
    elsewhere = await _composed(client, [ground.data[0].b64_json, *layers[1:]])
    seconds = time.perf_counter() - began
    shown = tuple(decoded(layer).convert("RGBA") for layer in layers)
    return DemoLayers(picture, names, shown, together, elsewhere, apart.recomposition_psnr, seconds)


async def _layers(client: openai.AsyncOpenAI, picture: Image.Image) -> _Apart:
    body = {"image": data_uri(picture), "seed": _SEED, "response_format": "b64_json"}
    return _Apart.model_validate(await client.post("/images/layers", body=body, cast_to=object))


async def _composed(client: openai.AsyncOpenAI, layers: list[str]) -> Image.Image:
    body = {"layers": [{"image": layer} for layer in layers], "response_format": "b64_json"}
    answer = await client.post("/images/layers/compose", body=body, cast_to=object)
    return decoded(_Composed.model_validate(answer).data[0].b64_json).convert("RGB")
