"""A gateway with a layered model that draws what tests say, and pictures for it."""

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from families.catalog import load_source
from families.manifest import LayerRule
from gateway.domain.backend import DenoiseJob, Latents, Pixels, Release
from tests.gateway.fake_backend import CELL, FakeBackend
from tests.gateway.model_folder import write_model_folder
from tests.gateway.pictures import noise_picture
from tests.gateway.server import RunningGateway, serve

MODEL, TEXT = "layered", "wardrobe"
ROUTE = "/v1/images/layers"
RULE = LayerRule(minimum=2, maximum=10, usual=4, resolutions=(64, 128), names=(("ground", "person", "dress", "hat"),))


@dataclass
class LayeredBackend(FakeBackend):
    """Its layered model draws stripes: layer i is opaque in the i-th part of the picture's columns, the bottom one
    everywhere; those of `empty` nowhere.
    """

    empty: frozenset[int] = frozenset()
    decoded: list[tuple[int, ...]] = field(default_factory=list)
    """Shapes of what the layered model's decoder got."""
    sources: list[Pixels] = field(default_factory=list)
    """What the layered model's encoder got."""

    async def encode_image(self, release: Release, pixels: Pixels, *, deterministic: bool) -> Latents:
        if release.model != MODEL:
            return await super().encode_image(release, pixels, deterministic=deterministic)
        self.sources.append(pixels)
        return pixels[:, ::CELL, ::CELL].astype(np.float32).transpose(0, 3, 1, 2)

    async def decode(self, release: Release, latents: Latents, *, deterministic: bool) -> Pixels:
        pixels = await super().decode(release, latents, deterministic=deterministic)
        if release.model != MODEL:
            return pixels
        self.decoded.append(latents.shape)
        alpha = np.zeros((*pixels.shape[:3], 1), np.uint8)
        columns = np.arange(pixels.shape[2]) * len(pixels) // pixels.shape[2]
        for index in range(len(pixels)):
            alpha[index, :, columns == index] = 255 * (index not in self.empty)
        alpha[0] = 255
        return np.concatenate([pixels, alpha], axis=-1)


@contextmanager
def separator(folder: Path, **overrides: Any) -> Iterator[RunningGateway]:
    source = load_source(write_model_folder(folder / TEXT))
    size = replace(source.manifest.size, maximum=256)
    layered = replace(source, manifest=replace(source.manifest, name=MODEL, layers=RULE, size=size))
    with serve(folder, overrides, LayeredBackend(), {MODEL: layered, TEXT: source}) as running:
        yield running


def layered_jobs(backend: FakeBackend) -> list[DenoiseJob]:
    return [job for job in backend.jobs if job.release.model == MODEL]


def picture(width: int = 96, height: int = 64) -> bytes:
    """Soft colours."""
    return _png(noise_picture(6, 4).resize((width, height), Image.Resampling.BICUBIC))


def cut_out(width: int = 96, height: int = 64) -> bytes:
    """Something, transparent but for a box in the middle."""
    image = noise_picture(6, 4).resize((width, height), Image.Resampling.BICUBIC).convert("RGBA")
    alpha = np.zeros((height, width), np.uint8)
    alpha[height // 4 : 3 * height // 4, width // 8 : 7 * width // 8] = 255
    image.putalpha(Image.fromarray(alpha))
    return _png(image)


def uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def sheet(data: bytes) -> np.ndarray:
    """RGBA [height, width, 4]."""
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGBA"
        return np.asarray(image)


def sheet_of(placed: dict[str, Any]) -> np.ndarray:
    """A picture of an answer with `response_format` b64_json."""
    return sheet(base64.b64decode(placed["b64_json"]))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
