"""Edits and variations through the official client and real Triton, on people that the embedded model knows."""

import base64
import io

import httpx
import numpy as np
import openai
import pytest
from PIL import Image, ImageFilter

from tests.support.stack import RunningStack
from wardrobe.judge import Judge, Reading
from wardrobe.world.attributes import (
    Background,
    Colour,
    Figure,
    HairColour,
    HairStyle,
    Part,
    Pattern,
    Pose,
    Skin,
    TopKind,
)
from wardrobe.world.render import render
from wardrobe.world.scene import Person, Scene, Top

PERSON = Person(Figure.WOMAN, HairColour.BROWN, HairStyle.LONG, Skin.LIGHT, Pose.HANDS_ON_HIPS)
SCENE = Scene(PERSON, Top(TopKind.DRESS, Colour.RED, Pattern.PLAIN), None, Background.MEADOW)
PROMPT = "a woman with long brown hair and light skin, hands on hips, wearing a blue dotted dress, in a meadow"


@pytest.fixture(scope="module")
def source() -> np.ndarray:
    return render(SCENE).image


@pytest.fixture(scope="module")
def edited() -> np.ndarray:
    """[128, 128] bool: the dress and a little around it."""
    dress = Image.fromarray(render(SCENE).mask(Part.DRESS).astype(np.uint8) * 255)
    return np.asarray(dress.filter(ImageFilter.MaxFilter(7))) > 0


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load()


def png(pixels: np.ndarray) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    file.seek(0)
    file.name = "picture.png"
    return file


def mask(edited: np.ndarray) -> io.BytesIO:
    pixels = np.zeros((*edited.shape, 4), dtype=np.uint8)
    pixels[..., 3] = np.where(edited, 0, 255)
    return png(pixels)


def pixels_of(b64: str | None) -> np.ndarray:
    assert b64
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(b64))).convert("RGB"))


def read(judge: Judge, picture: np.ndarray) -> Reading:
    return judge.read(picture[None])[0]


def test_a_dress_is_changed_and_nothing_else(
    client: openai.OpenAI, source: np.ndarray, edited: np.ndarray, judge: Judge
) -> None:
    answer = client.images.edit(
        image=png(source),
        mask=mask(edited),
        prompt=PROMPT,
        model="wardrobe",
        n=2,
        response_format="b64_json",
        extra_body={"seed": 3, "deterministic": True},
    )
    assert answer.data
    for item in answer.data:
        after = pixels_of(item.b64_json)
        assert np.array_equal(after[~edited], source[~edited])
        reading = read(judge, after)
        assert (reading.top_kind, reading.top_colour, reading.top_pattern) == (
            TopKind.DRESS,
            Colour.BLUE,
            Pattern.DOTTED,
        )
        assert (reading.background, reading.hair_colour, reading.pose) == (
            Background.MEADOW,
            HairColour.BROWN,
            Pose.HANDS_ON_HIPS,
        )


def test_less_strength_keeps_more(client: openai.OpenAI, source: np.ndarray) -> None:
    def distance(strength: float) -> float:
        answer = client.images.edit(
            image=png(source),
            prompt=PROMPT,
            response_format="b64_json",
            extra_body={"seed": 3, "strength": strength, "num_inference_steps": 10, "deterministic": True},
        )
        assert answer.data
        return float(np.abs(pixels_of(answer.data[0].b64_json).astype(float) - source).mean())

    distances = [distance(strength) for strength in (0.2, 0.5, 1.0)]
    assert distances == sorted(distances)
    assert distances[0] < 0.5 * distances[2]


async def test_a_streamed_edit(
    async_client: openai.AsyncOpenAI, source: np.ndarray, edited: np.ndarray, judge: Judge
) -> None:
    stream = await async_client.images.edit(
        image=png(source),
        mask=mask(edited),
        prompt=PROMPT,
        stream=True,
        partial_images=2,
        extra_body={"seed": 5, "num_inference_steps": 9},
    )
    pictures = []
    async for event in stream:
        assert event.type == ("image_edit.partial_image" if len(pictures) < 2 else "image_edit.completed")
        pictures.append(pixels_of(event.b64_json))
    assert len(pictures) == 3
    for picture in pictures:
        assert np.array_equal(picture[~edited], source[~edited])
    distances = [float(np.abs(picture.astype(float) - pictures[-1]).mean()) for picture in pictures]
    assert distances[0] > distances[1] > distances[2] == 0
    assert read(judge, pictures[-1]).top_colour is Colour.BLUE


def test_variations_are_like_their_picture_and_unlike_each_other(
    client: openai.OpenAI, source: np.ndarray, judge: Judge
) -> None:
    answer = client.images.create_variation(image=png(source), n=2, model="wardrobe", response_format="b64_json")
    assert answer.data
    pictures = [pixels_of(item.b64_json) for item in answer.data]
    assert (pictures[0] != pictures[1]).any()
    for picture in pictures:
        assert picture.shape == source.shape and (picture != source).any()
        assert read(judge, picture).background is Background.MEADOW


def test_a_picture_of_an_odd_size_keeps_it(client: openai.OpenAI) -> None:
    source = np.asarray(Image.fromarray(render(SCENE).image).resize((131, 117)))
    edited = np.zeros((117, 131), dtype=bool)
    edited[40:80, 50:90] = True
    answer = client.images.edit(
        image=png(source),
        mask=mask(edited),
        prompt=PROMPT,
        response_format="b64_json",
        extra_body={"num_inference_steps": 4},
    )
    assert answer.data
    after = pixels_of(answer.data[0].b64_json)
    assert np.array_equal(after[~edited], source[~edited]) and (after[edited] != source[edited]).any()


def test_an_edit_is_the_same_alone_and_in_a_crowd(
    client: openai.OpenAI, source: np.ndarray, edited: np.ndarray
) -> None:
    def draw(n: int, seed: int) -> list[bytes]:
        answer = client.images.edit(
            image=png(source),
            mask=mask(edited),
            prompt=PROMPT,
            n=n,
            response_format="b64_json",
            extra_body={"seed": seed, "num_inference_steps": 4, "deterministic": True},
        )
        return [pixels_of(item.b64_json).tobytes() for item in answer.data or []]

    assert draw(3, 40)[2] == draw(1, 42)[0]


@pytest.mark.parametrize(
    ("files", "param"),
    [
        ({}, "image"),
        ({"image": b"no picture"}, "image"),
        ({"image": "source", "mask": "small"}, "mask"),
    ],
)
def test_mistakes(stack: RunningStack, source: np.ndarray, files: dict[str, object], param: str) -> None:
    known = {"source": png(source), "small": mask(np.ones((64, 64), dtype=bool))}
    parts = [(name, ("picture.png", known.get(str(value), value))) for name, value in files.items()]
    answer = httpx.post(
        f"{stack.url}/v1/images/edits", data={"prompt": PROMPT}, files=[*parts, ("n", (None, b"1"))], timeout=30
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
