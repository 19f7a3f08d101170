"""A gateway whose try-on is the real pipeline over renders, and the pictures that its world knows."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from families.vision.joints import JOINTS
from gateway.api.services import attach_services, find_services
from gateway.domain.vision import Parse
from tests.gateway.server import RunningGateway, serve
from tests.gateway.tryon.world import World, lying, pairs, truth, world
from wardrobe.world.render import FLAT_LAY_BACKGROUND


@dataclass(frozen=True)
class Studio:
    """`person` and `garment` are PNG files."""

    gateway: RunningGateway
    world: World
    person: bytes
    garment: bytes

    @property
    def request(self) -> dict[str, Any]:
        """The least that can be asked."""
        return {"model_image": uri(self.person), "garment_image": uri(self.garment), "seed": 7}


@contextmanager
def studio(folder: Path, **overrides: Any) -> Iterator[Studio]:
    pair = pairs(1)[0]
    with world(folder / "world") as made, serve(folder, overrides) as gateway:
        made.learn(pair.before, pair.garment, pair.after)
        made.parser.learn(blank(), Parse(np.zeros((128, 128), np.uint8), np.zeros((len(JOINTS), 3), np.float32)))
        services = find_services(gateway.app)
        assert services is not None
        attach_services(gateway.app, replace(services, tryon=made.pipeline))
        person, (garment, _) = truth(pair.before)[0], lying(pair.garment)
        yield Studio(gateway, made, png(person), png(garment))


def blank() -> np.ndarray:
    """The ground that garments lie on, and nothing else."""
    return np.full((128, 128, 3), FLAT_LAY_BACKGROUND, dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def uri(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
