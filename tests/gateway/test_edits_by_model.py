"""What an edit means depends on the model: its largest picture, and whether it takes references."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import openai
import pytest

from families.catalog import load_source
from families.manifest import ComponentSignature, ReferenceRule
from gateway.pipelines.references import reference_pixels
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.model_folder import write_model_folder
from tests.gateway.pictures import file_of, mask_of, noise_picture, pixels_of
from tests.gateway.server import RunningGateway, serve

PROMPT = "a blue dotted dress"
RULE = ReferenceRule(most=3, area=64 * 64)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("by-model")
    source = load_source(write_model_folder(folder / "wardrobe"))
    plain = replace(source.manifest, name="small", size=replace(source.manifest.size, maximum=512))
    kinds = {
        "small": plain,
        "referring": replace(plain, name="referring", references=RULE),
        "blind": replace(plain, name="blind", vae_encoder=ComponentSignature((), ())),
    }
    with serve(folder, sources={name: replace(source, manifest=kind) for name, kind in kinds.items()}) as running:
        yield running


@pytest.fixture()
def backend(running: RunningGateway) -> FakeBackend:
    running.backend.__dict__.update(FakeBackend().__dict__)
    return running.backend


@pytest.fixture()
def client(running: RunningGateway, backend: FakeBackend) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=0, timeout=20)


def test_a_picture_that_is_too_large_is_drawn_smaller_and_says_so(client: openai.OpenAI) -> None:
    answer = client.images.edit(
        image=file_of(noise_picture(1024, 512)), prompt=PROMPT, model="small", response_format="b64_json"
    )
    assert answer.data and pixels_of(answer.data[0].b64_json).shape == (256, 512, 3)
    assert "1024x512" in answer.warnings[0]  # type: ignore[attr-defined]


def test_a_small_mask_on_a_large_picture_is_drawn_at_its_own_resolution(
    client: openai.OpenAI, backend: FakeBackend
) -> None:
    source, box = noise_picture(1200, 900), (1000, 100, 1100, 220)
    answer = client.images.edit(
        image=file_of(source),
        mask=file_of(mask_of(1200, 900, box)),
        prompt=PROMPT,
        model="small",
        response_format="b64_json",
    )
    (job,) = backend.jobs
    assert (job.latent_width, job.latent_height) == (64, 64)
    assert job.start
    assert np.array_equal(job.start.latents[0, 0], np.asarray(source)[0:512:8, 688:1200:8, 0] / np.float32(64) - 2)
    assert answer.data and not getattr(answer, "warnings", None)
    after, before = pixels_of(answer.data[0].b64_json), np.asarray(source)
    changed = (after != before).any(axis=-1)
    assert not changed[:100].any() and not changed[220:].any() and not changed[:, :1000].any()
    assert changed[104:216, 1004:1096].mean() > 0.9


def test_a_large_mask_is_drawn_smaller_and_says_so(client: openai.OpenAI, backend: FakeBackend) -> None:
    source = noise_picture(1200, 900)
    answer = client.images.edit(
        image=file_of(source),
        mask=file_of(mask_of(1200, 900, (100, 50, 1100, 850))),
        prompt=PROMPT,
        model="small",
        response_format="b64_json",
    )
    (job,) = backend.jobs
    assert (job.latent_width, job.latent_height) == (64, 48)
    assert "512x384" in answer.warnings[0]  # type: ignore[attr-defined]
    assert answer.data
    after, before = pixels_of(answer.data[0].b64_json), np.asarray(source)
    assert after.shape == before.shape
    assert np.array_equal(after[:50], before[:50]) and np.array_equal(after[:, 1100:], before[:, 1100:])


def test_references_go_beside_the_prompt(client: openai.OpenAI, backend: FakeBackend) -> None:
    pictures = [noise_picture(64, 32, seed=1), noise_picture(300, 100, seed=2), noise_picture(5, 70, seed=3)]
    answer = client.images.edit(
        image=[file_of(picture) for picture in pictures],
        prompt=PROMPT,
        model="referring",
        response_format="b64_json",
    )
    (job,) = backend.jobs
    assert job.start is None
    assert [latents.shape[2:] for latents in job.references] == [(4, 8), (4, 13), (8, 1)]
    assert np.array_equal(job.references[0][0, 0], np.asarray(pictures[0])[::8, ::8, 0] / np.float32(64) - 2)
    # The model draws no side shorter than 64.
    assert (job.latent_width, job.latent_height) == (16, 8)
    assert answer.size == "64x32"  # type: ignore[comparison-overlap]
    assert answer.usage and answer.usage.input_tokens_details.image_tokens == 4 * 2 + 7 * 2 + 1 * 4


def test_references_are_not_cut_to_the_answers_shape(client: openai.OpenAI, backend: FakeBackend) -> None:
    answer = client.images.edit(
        image=file_of(noise_picture(64, 32)),
        prompt=PROMPT,
        model="referring",
        size="64x128",  # type: ignore[arg-type]
    )
    (job,) = backend.jobs
    assert job.references[0].shape[2:] == (4, 8) and (job.latent_width, job.latent_height) == (8, 16)
    assert answer.size == "64x128" and not getattr(answer, "warnings", None)  # type: ignore[comparison-overlap]


def test_references_and_a_mask(client: openai.OpenAI, backend: FakeBackend) -> None:
    source, box = noise_picture(64, 64), (16, 16, 48, 48)
    answer = client.images.edit(
        image=[file_of(source), file_of(noise_picture(32, 32))],
        mask=file_of(mask_of(64, 64, box)),
        prompt=PROMPT,
        model="referring",
        response_format="b64_json",
        extra_body={"strength": 0.7},
    )
    (job,) = backend.jobs
    assert len(job.references) == 2 and job.start and job.start.mask is not None and job.start.strength == 0.7
    assert answer.data
    changed = (pixels_of(answer.data[0].b64_json) != np.asarray(source)).any(axis=-1)
    assert changed[16:48, 16:48].any() and not changed[:16].any() and not changed[:, 48:].any()


def test_a_variation_begins_from_its_picture_whatever_the_model(client: openai.OpenAI, backend: FakeBackend) -> None:
    client.images.create_variation(image=file_of(noise_picture(64, 64)), model="referring")
    (job,) = backend.jobs
    assert job.start is not None and not job.references


@pytest.mark.parametrize(
    ("model", "count", "fields", "param", "says"),
    [
        ("referring", 4, {}, "image", "has 4 pictures; referring takes at most 3"),
        ("small", 2, {}, "image", "takes at most 1"),
        ("blind", 1, {}, "model", "takes no pictures"),
        ("referring", 1, {"strength": 0.5}, "strength", "needs a mask"),
    ],
)
def test_what_a_model_does_not_take(
    client: openai.OpenAI, model: str, count: int, fields: dict[str, object], param: str, says: str
) -> None:
    images = [file_of(noise_picture(64, 64)) for _ in range(count)]
    with pytest.raises(openai.BadRequestError, match=says) as caught:
        client.images.edit(image=images, prompt=PROMPT, model=model, extra_body=fields)
    assert caught.value.param == param


@pytest.mark.parametrize("size", [(64, 64), (65, 70), (1000, 40), (7, 9), (3000, 2), (641, 479)])
def test_references_are_those_of_the_reference_implementation(size: tuple[int, int]) -> None:
    from diffusers.pipelines.flux2.image_processor import Flux2ImageProcessor

    folder_rule = load_source(Path(__file__).parents[2] / "wardrobe" / "weights" / "wardrobe").manifest.size
    ours = reference_pixels(np.asarray(noise_picture(*size)), RULE, folder_rule)
    if min(size) < folder_rule.multiple or max(size) > 1000:
        assert min(ours.shape[:2]) == folder_rule.multiple
        return
    image = Flux2ImageProcessor._resize_if_exceeds_area(noise_picture(*size), RULE.area)
    width, height = (side // folder_rule.multiple * folder_rule.multiple for side in image.size)
    theirs = Flux2ImageProcessor(vae_scale_factor=folder_rule.multiple).preprocess(
        image, height=height, width=width, resize_mode="crop"
    )
    assert np.array_equal(ours, np.rint((theirs[0].permute(1, 2, 0).numpy() + 1) * 127.5).astype(np.uint8))
