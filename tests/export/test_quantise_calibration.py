"""Calibration inputs are what the components really receive, the same for the same seed."""

import shutil
from pathlib import Path

import pytest
import torch

from export.errors import BuildError
from export.quantise import calibration_identity, calibration_inputs
from export.quantise.calibration import IMAGES_AT_ONCE
from export.quantise.prompts import GENERAL_PROMPTS, PROMPTS_FILE, prompts_for
from export.recipe import Quantisation, QuantisationMethod
from families.catalog import ModelSource, load_source
from families.manifest import Component
from tests.export.quantised import load

SETTINGS = Quantisation(method=QuantisationMethod.FP8, calibration_prompts=IMAGES_AT_ONCE + 2, calibration_steps=3)


@pytest.fixture
def own_source(source: ModelSource, tmp_path: Path) -> ModelSource:
    """A copy of the tiny model that the test may change."""
    return load_source(Path(shutil.copytree(source.folder, tmp_path / "models" / "tiny")))


def test_denoiser_is_calibrated_with_guidance_along_whole_trajectories(source: ModelSource) -> None:
    calls = calibration_inputs(source, Component.DENOISER, SETTINGS, seed=1)
    assert len(calls) == 2 * 3, "lots times steps"
    encoder = load(source, Component.TEXT_ENCODER)
    for index, (sample, timestep, context) in enumerate(calls):
        images = IMAGES_AT_ONCE if index < 3 else 2
        assert len(sample) == len(timestep) == len(context) == 2 * images
        assert torch.equal(sample[:images], sample[images:]), "both rows of an image see the same latents"
        assert torch.equal(context[0], context[images - 1]), "the first half is the empty prompt"
    assert not torch.equal(calls[0][2][0], calls[0][2][IMAGES_AT_ONCE])
    ids = calibration_inputs(source, Component.TEXT_ENCODER, SETTINGS, seed=1)[0][0]
    with torch.inference_mode():
        assert torch.allclose(encoder(ids[:2])[1], calls[0][2][IMAGES_AT_ONCE], atol=1e-5)
    times = [float(call[1][0]) for call in calls[:3]]
    assert times == sorted(times, reverse=True)
    assert times[0] - times[-1] > 500


def test_same_seed_same_inputs(source: ModelSource) -> None:
    first, again, other = (calibration_inputs(source, Component.VAE_DECODER, SETTINGS, seed) for seed in (1, 1, 2))
    assert [len(call[0]) for call in first] == [IMAGES_AT_ONCE, 2]
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0][0], other[0][0])


def test_prompts_of_the_model_come_first(own_source: ModelSource) -> None:
    assert prompts_for(own_source, 3) == GENERAL_PROMPTS[:3]
    beside = own_source.folder.with_name(f"tiny.{PROMPTS_FILE}")
    beside.write_text("red dress\n\nblue jeans\n")
    assert prompts_for(own_source, 3) == ("red dress", "blue jeans", "red dress")
    (own_source.folder / PROMPTS_FILE).write_text("green top\n")
    assert prompts_for(own_source, 1) == ("green top",)


@pytest.mark.parametrize("content", [b"\n \n", b"\xff\xfe"])
def test_a_broken_prompt_file_is_named(content: bytes, own_source: ModelSource) -> None:
    (own_source.folder / PROMPTS_FILE).write_bytes(content)
    with pytest.raises(BuildError, match=PROMPTS_FILE):
        calibration_identity(own_source, SETTINGS)


def test_identity_changes_with_all_that_matters(own_source: ModelSource, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"calibration_steps": 4, "calibration_prompts": 3, "exclude": ("*",), "method": QuantisationMethod.NVFP4}
    seen = {
        calibration_identity(own_source, SETTINGS.model_copy(update={key: value})) for key, value in changes.items()
    }
    seen |= {calibration_identity(own_source, SETTINGS), calibration_identity(own_source, SETTINGS, seed=7)}
    (own_source.folder / PROMPTS_FILE).write_text("green top\n")
    seen.add(calibration_identity(own_source, SETTINGS))
    monkeypatch.setattr("export.quantise.identity.version", lambda package: "1000")
    seen.add(calibration_identity(own_source, SETTINGS))
    assert len(seen) == len(changes) + 4


def test_weight_only_needs_no_prompts_in_its_identity(own_source: ModelSource) -> None:
    settings = Quantisation(method=QuantisationMethod.INT8_WEIGHT_ONLY)
    before = calibration_identity(own_source, settings)
    (own_source.folder / PROMPTS_FILE).write_text("green top\n")
    assert calibration_identity(own_source, settings) == before
