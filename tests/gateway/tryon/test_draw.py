"""The drawing stage: what the backend is given, what comes back, and what its listener hears."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from families.catalog import ModelSource, load_source
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.domain.backend import Pixels
from gateway.domain.errors import InvalidRequest, ModelNotFound
from gateway.domain.tryon_drawing import TryOnDrawing, TryOnDrawingListener
from gateway.pipelines.models import ModelLibrary
from gateway.pipelines.tryon.draw import TryOnDraw
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.model_folder import write_model_folder
from tests.gateway.server import RunningGateway, serve
from tests.support.dressing import drawing_of
from tests.support.tiny_catvton import write_tiny_catvton

MODEL = "tiny-catvton"
DRAWING = replace(drawing_of(MODEL, 64, 96), seeds=(3, 4), steps=6)


@dataclass
class Heard(TryOnDrawingListener):
    """Everything, in order."""

    told: list[object] = field(default_factory=list)
    shown: list[Pixels] = field(default_factory=list)

    def started(self) -> None:
        self.told.append("started")

    def step(self, done: int, steps: int) -> None:
        self.told.append((done, steps))

    def preview(self, order: int, pixels: Pixels) -> None:
        assert order == len(self.shown)
        self.shown.append(pixels)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelSource]:
    root = tmp_path_factory.mktemp("models")
    write_model_folder(root / "wardrobe")
    write_tiny_catvton(root / MODEL)
    return {name: load_source(root / name) for name in ("wardrobe", MODEL)}


@pytest.fixture()
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture()
def draw(backend: FakeBackend, sources: dict[str, ModelSource]) -> TryOnDraw:
    return TryOnDraw(backend, ModelLibrary(sources, "wardrobe"), PrometheusTelemetry())


async def test_the_job_shows_the_person_above_and_the_garment_below(draw: TryOnDraw, backend: FakeBackend) -> None:
    pixels = await draw.draw(DRAWING, None)
    assert pixels.shape == (2, 96, 64, 3) and pixels.dtype == np.uint8
    (job,) = backend.jobs
    assert (job.seeds, job.latent_height, job.latent_width, job.progress) == ((3, 4), 24, 8, False)
    (inpaint,) = job.conditions
    assert inpaint.name == "inpaint" and inpaint.array.dtype == np.float32
    negative, positive = inpaint.array
    assert positive.shape == (5, 24, 8)
    cells = DRAWING.mask[::8, ::8]
    np.testing.assert_array_equal(positive[0, :12], cells)
    assert not positive[0, 12:].any(), "nothing of the garment is drawn anew"
    # The fake's encoder takes each cell's corner: 128 under the mask, the person elsewhere.
    person = np.where(cells[..., None], 128, DRAWING.person[::8, ::8]).transpose(2, 0, 1) / np.float32(64) - 2
    np.testing.assert_allclose(positive[1:4, :12], person, atol=1e-6)
    garment = DRAWING.garment[::8, ::8].transpose(2, 0, 1) / np.float32(64) - 2
    np.testing.assert_allclose(positive[1:4, 12:], garment, atol=1e-6)
    np.testing.assert_array_equal(negative[:, :12], positive[:, :12])
    assert not negative[:, 12:].any(), "without guidance's positive row there is no garment"


async def test_without_guidance_there_is_one_row(draw: TryOnDraw, backend: FakeBackend) -> None:
    await draw.draw(replace(DRAWING, guidance_scale=1.0), None)
    assert backend.jobs[0].conditions[0].array.shape == (1, 5, 24, 8)


async def test_the_listener_sees_steps_and_people_alone(draw: TryOnDraw) -> None:
    heard = Heard()
    await draw.draw(replace(DRAWING, previews=2), heard)
    assert heard.told == ["started", *((step, 6) for step in range(1, 7))]
    assert [pixels.shape for pixels in heard.shown] == [(2, 96, 64, 3)] * 2


async def test_a_replaced_release_draws_it_anew_and_tells_nothing_twice(draw: TryOnDraw, backend: FakeBackend) -> None:
    backend.fail_after_steps, backend.replace_during_denoise = 5, True
    heard = Heard()
    again = await draw.draw(replace(DRAWING, previews=2), heard)
    assert [job.release.version for job in backend.jobs] == ["1", "2"]
    assert heard.told == ["started", *((step, 6) for step in range(1, 7))]
    assert len(heard.shown) == 2
    np.testing.assert_array_equal(again, await draw.draw(DRAWING, None))


@pytest.mark.parametrize(
    ("drawing", "message"),
    [
        (replace(DRAWING, model="wardrobe"), "wardrobe dresses nobody: it takes prompts"),
        (drawing_of(MODEL, 60, 96), "steps of 8, not 60x96"),
        (drawing_of(MODEL, 64, 264), "64 to 256 pixels"),
    ],
    ids=["no try-on", "between steps", "too large"],
)
async def test_what_does_not_fit_the_model(draw: TryOnDraw, drawing: TryOnDrawing, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        await draw.draw(drawing, None)
    assert caught.value.param == "model"


async def test_an_unknown_model_and_pictures_of_different_sizes(draw: TryOnDraw) -> None:
    with pytest.raises(ModelNotFound, match="tiny-catvton"):
        await draw.draw(replace(DRAWING, model="nobody"), None)
    with pytest.raises(ValueError, match="person 64x96, and mask or garment of 64x64"):
        await draw.draw(replace(DRAWING, garment=DRAWING.garment[:64]), None)


def test_the_default_model_is_one_that_takes_prompts(sources: dict[str, ModelSource]) -> None:
    renamed = {"a-dresser": sources[MODEL], "wardrobe": sources["wardrobe"]}
    assert ModelLibrary(renamed, None).find(None).public_id == "wardrobe"
    assert ModelLibrary({MODEL: sources[MODEL]}, None).find(None).public_id == MODEL


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, sources: dict[str, ModelSource]) -> Iterator[RunningGateway]:
    folder: Path = tmp_path_factory.mktemp("gateway")
    with serve(folder, sources=sources) as running:
        yield running


def test_prompts_are_refused_and_other_routes_named(gateway: RunningGateway) -> None:
    answer = httpx.post(
        f"{gateway.url}/v1/images/generations",
        json={"model": MODEL, "prompt": "a red dress", "size": "64x96"},
        timeout=60,
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "model", "model_needs_pictures")
    assert "/v1/tryon-fast" in error["message"]
    listed = httpx.get(f"{gateway.url}/v1/models", timeout=60).json()["data"]
    assert {model["id"] for model in listed} == {"wardrobe", MODEL}
