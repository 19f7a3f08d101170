"""The demo's people, drawn a moment ago, in garments that they did not wear."""

import time
from dataclasses import dataclass

import openai
from PIL import Image
from pydantic import BaseModel

from triptych.demo_pictures import data_uri, decoded
from wardrobe.world.attributes import BottomsKind, Colour, Pattern, TopKind
from wardrobe.world.render import flat_lay
from wardrobe.world.scene import Bottoms, Garment, Top

GARMENTS: tuple[Garment, ...] = (
    Top(TopKind.DRESS, Colour.BLUE, Pattern.STRIPED),
    Top(TopKind.T_SHIRT, Colour.RED, Pattern.CHECKED),
    Top(TopKind.SWEATER, Colour.YELLOW, Pattern.PLAIN),
    Bottoms(BottomsKind.TROUSERS, Colour.GREEN, Pattern.STRIPED),
)
_SEED = 7
_PLURAL = (BottomsKind.TROUSERS, BottomsKind.SHORTS)


@dataclass(frozen=True, slots=True)
class DemoTryOn:
    """A person, a garment laid flat, the person in it by both routes, and what both took together in seconds."""

    garment: Garment
    person: Image.Image
    laid_flat: Image.Image
    fast: Image.Image
    premium: Image.Image
    seconds: float

    @property
    def row(self) -> tuple[str, tuple[Image.Image, ...]]:
        """Of the contact sheet."""
        garment = self.garment
        what = f"{garment.colour} {garment.pattern} {garment.kind}"
        lying = f"{what} as they lie" if garment.kind in _PLURAL else f"a {what} as it lies"
        return f"try-on: {lying}, then worn: fast, premium", (self.person, self.laid_flat, self.fast, self.premium)


class _Picture(BaseModel):
    b64_json: str


class _Answer(BaseModel):
    data: list[_Picture]


async def dress(client: openai.AsyncOpenAI, person: Image.Image, garment: Garment) -> DemoTryOn:
    """By the official client. Raises openai.OpenAIError."""
    laid_flat = Image.fromarray(flat_lay(garment))
    began = time.perf_counter()
    fast = await _worn(client, "/tryon-fast", person, laid_flat)
    premium = await _worn(client, "/tryon-premium", person, laid_flat)
    return DemoTryOn(garment, person, laid_flat, fast, premium, time.perf_counter() - began)


async def _worn(client: openai.AsyncOpenAI, route: str, person: Image.Image, garment: Image.Image) -> Image.Image:
    body = {
        "model_image": data_uri(person),
        "garment_image": data_uri(garment),
        "seed": _SEED,
        "response_format": "b64_json",
    }
    answer = await client.post(route, body=body, cast_to=object)
    encoded = _Answer.model_validate(answer).data[0].b64_json
    return decoded(encoded).convert("RGB")
