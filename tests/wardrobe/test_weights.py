import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from wardrobe.evaluation.samplers import SAMPLERS
from wardrobe.judge.judge import WEIGHTS as JUDGE
from wardrobe.training.export import SIZE_LIMIT, WEIGHTS


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    loaded = StableDiffusionPipeline.from_pretrained(WEIGHTS, torch_dtype=torch.float32, safety_checker=None)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_folder_is_small_and_complete() -> None:
    assert size(WEIGHTS) <= SIZE_LIMIT
    assert size(JUDGE) <= 1_600_000
    index = json.loads((WEIGHTS / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert index["requires_safety_checker"] is False
    assert all((WEIGHTS / name).is_dir() for name in ("scheduler", "text_encoder", "tokenizer", "unet", "vae"))


def test_it_draws(pipeline: StableDiffusionPipeline) -> None:
    def draw(seed: int) -> "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]":
        generator = torch.Generator().manual_seed(seed)
        return np.asarray(pipeline("a woman wearing a red dress", num_inference_steps=3, generator=generator).images[0])

    first = draw(1)
    assert first.shape == (128, 128, 3)
    assert first.std() > 5
    assert np.array_equal(first, draw(1))
    assert not np.array_equal(first, draw(2))


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_every_sampler_accepts_the_schedule(pipeline: StableDiffusionPipeline, name: str) -> None:
    if name == "lms":
        pytest.importorskip("scipy")  # diffusers integrates its coefficients with it
    pipeline.scheduler = SAMPLERS[name](pipeline.scheduler.config)
    latents = pipeline("a man on a beach", num_inference_steps=5, output_type="latent").images
    assert torch.isfinite(latents).all()
    assert float(latents.abs().max()) < 50
