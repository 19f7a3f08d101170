"""What try-on tests send to the whole stack, and how they read its answers."""

import base64
from collections.abc import Mapping
from itertools import islice
from typing import Any

from gateway.domain.tryon_drawing import Rgb
from tests.gateway.api.studio import png, uri
from tests.gateway.pictures import pixels_of
from wardrobe.world.pairs import tryon_pairs
from wardrobe.world.render import flat_lay, render

MODEL = "wardrobe-tryon"
PAIR = next(islice(tryon_pairs(3, held_out=True), 1))
PERSON, GARMENT = render(PAIR.before).image, flat_lay(PAIR.garment)
EXACT = {"model_image": uri(png(PERSON)), "garment_image": uri(png(GARMENT)), "seed": 5, "deterministic": True}


def file_of(answer: Mapping[str, Any]) -> bytes:
    """The first picture of an answer with `response_format` b64_json, as it was encoded."""
    return base64.b64decode(answer["data"][0]["b64_json"])


def intermediate(answer: Mapping[str, Any], name: str) -> Rgb:
    """A stage's picture in such an answer."""
    (found,) = [each for each in answer["intermediates"] if each["name"] == name]
    pixels: Rgb = pixels_of(found["b64_json"])
    return pixels
