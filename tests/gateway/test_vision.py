"""Pictures of any size through vision models, and their answers in the picture's own pixels."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.publishing.options import PublishOptions
from export.publishing.vision import publish_vision
from families.embedded import embedded_models
from families.tensors import NamedTensor
from families.tryon.parts import BodyPart
from families.vision.joints import JOINTS, Joint
from families.vision.manifest import VisionTask
from families.vision.source import VisionSource, load_vision
from gateway.adapters.inprocess import InProcessBackend
from gateway.domain.backend import Pixels
from gateway.domain.errors import BackendRejected, BackendUnavailable, ModelNotFound
from gateway.pipelines.vision import VisionModels, chosen_vision
from gateway.settings import BackendSettings
from tests.gateway.fake_backend import FakeBackend
from wardrobe.world.keypoints import keypoints
from wardrobe.world.render import render
from wardrobe.world.scene import scenes

SCENE = next(scenes(11, held_out=True))
PICTURE = render(SCENE)
PARSER = load_vision(embedded_models() / "wardrobe-parser")


class Edge(FakeBackend):
    """A parser for which dark pixels are a dress, and whose one joint is where the darkness ends."""

    async def look(self, model: str, pixels: Pixels, *, deterministic: bool) -> tuple[NamedTensor, ...]:
        assert PARSER.manifest.size.allows(*pixels.shape[1:3]) and deterministic
        dark = pixels[..., 0] < 128
        parts = np.zeros((1, len(BodyPart), *pixels.shape[1:3]), np.uint8)
        parts[0, BodyPart.DRESS.label] = np.where(dark[0], 255, 0)
        parts[0, BodyPart.BACKGROUND.label] = 255 - parts[0, BodyPart.DRESS.label]
        points = np.zeros((1, len(JOINTS), 3), np.float32)
        points[0, JOINTS.index(Joint.NECK)] = (dark[0].any(axis=0).sum(), dark[0].any(axis=1).sum(), 1)
        return NamedTensor("parts", parts), NamedTensor("keypoints", points)


@pytest.mark.parametrize("size", [(128, 128), (70, 201), (300, 900), (1200, 640), (20, 33)])
async def test_answers_are_in_the_picture_s_pixels(size: tuple[int, int]) -> None:
    height, width = size
    rows, columns = height // 2, width // 3
    picture = np.full((height, width, 3), 255, np.uint8)
    picture[:rows, :columns] = 0
    parse = await VisionModels(Edge(), PARSER).parse(picture, deterministic=True)
    assert parse.labels.shape == size and parse.labels.dtype == np.uint8
    found = parse.labels == BodyPart.DRESS.label
    shrunk = max(1.0, max(size) / 256)  # edges hug within what a pixel of the shown picture covers
    assert abs(int(found.any(axis=1).sum()) - rows) <= shrunk and abs(int(found.any(axis=0).sum()) - columns) <= shrunk
    assert found[: rows - int(shrunk), : columns - int(shrunk)].all()
    x, y, confidence = parse.joint(Joint.NECK)
    assert abs(x - columns) <= 2 * shrunk and abs(y - rows) <= 2 * shrunk and confidence == 1


async def test_nobody_is_nobody() -> None:
    parse = await VisionModels(FakeBackend(), PARSER).parse(PICTURE.image, deterministic=True)
    assert not parse.labels.any() and not parse.keypoints[:, 2].any()


def test_a_model_is_chosen_by_name_and_task() -> None:
    models = {PARSER.name: PARSER}
    assert chosen_vision(models, "wardrobe-parser", VisionTask.PARSER) is PARSER
    for name, task in (("other", VisionTask.PARSER), ("wardrobe-parser", VisionTask.POSE)):
        with pytest.raises(ModelNotFound, match=r"served are (wardrobe-parser|none)"):
            chosen_vision(models, name, task)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded parser, published."""
    folder = tmp_path_factory.mktemp("vision") / "repository"
    published = publish_vision(PARSER, folder, PublishOptions(threads=1))
    assert published.names == ("wardrobe-parser.parser",) and published.changed
    assert not publish_vision(PARSER, folder, PublishOptions(threads=1)).changed
    return folder


def opened(repository: Path, source: VisionSource = PARSER) -> InProcessBackend:
    return InProcessBackend(repository, (), BackendSettings(threads=1), vision=[source])


async def test_the_embedded_parser_in_this_process(repository: Path) -> None:
    backend = opened(repository)
    with pytest.raises(BackendUnavailable):
        await backend.look("wardrobe-parser", PICTURE.image[None], deterministic=True)
    await backend.open()
    try:
        models = VisionModels(backend, PARSER)
        alone = await models.parse(PICTURE.image, deterministic=True)
        assert (alone.labels == PICTURE.labels).mean() > 0.97
        assert np.abs(alone.keypoints[:, :2] - keypoints(SCENE)).max() < 4
        large = Image.fromarray(PICTURE.image).resize((512, 512), Image.Resampling.LANCZOS)
        enlarged = np.asarray(Image.fromarray(PICTURE.labels).resize((512, 512), Image.Resampling.NEAREST))
        crowd = await asyncio.gather(
            *(models.parse(p, deterministic=True) for p in (np.asarray(large), PICTURE.image, PICTURE.image))
        )
        assert (crowd[0].labels == enlarged).mean() > 0.96
        for parse in crowd[1:]:
            assert np.array_equal(parse.labels, alone.labels) and np.array_equal(parse.keypoints, alone.keypoints)
        several = np.stack([PICTURE.image, PICTURE.image[::-1], PICTURE.image[:, ::-1]])
        together = await backend.look("wardrobe-parser", several, deterministic=True)
        for row in range(3):
            single = await backend.look("wardrobe-parser", several[row : row + 1], deterministic=True)
            assert all(np.array_equal(a.array[row], b.array[0]) for a, b in zip(together, single, strict=True))
        with pytest.raises(BackendRejected, match=r"100x128 .* multiples of 16"):
            await backend.look("wardrobe-parser", PICTURE.image[None, :100], deterministic=False)
    finally:
        await backend.close()
