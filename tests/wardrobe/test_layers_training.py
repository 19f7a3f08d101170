from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Qwen2Tokenizer

from families.catalog import load_source
from wardrobe.training import layers_cache, layers_corpus, layers_text
from wardrobe.training.layers import captions_of, empty_latents, save_preview
from wardrobe.training.layers_cache import SheetLatents, encode_range, path_of
from wardrobe.training.layers_export import export, shipped_vae
from wardrobe.training.layers_models import FlatVae, build_vae
from wardrobe.training.layers_sample import LayersModel, take_apart
from wardrobe.training.layers_trainer import LayersTrainer, LayersTraining
from wardrobe.training.layers_vae import CHECKPOINT, LayersVaeTrainer, LayersVaeTraining, trained_vae
from wardrobe.world.render import render
from wardrobe.world.scene import scenes

_SCENES = 3
_PLAN = LayersTraining(batch=2, warmup=1, counts={2: 0.9, 7: 0.1}, compute_dtype=torch.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, an autoencoder after two steps and its latents."""
    folder = tmp_path_factory.mktemp("training")
    layers_corpus.build(folder / layers_corpus.FILE, _SCENES, workers=1)
    source = np.load(folder / layers_corpus.FILE)
    trainer = LayersVaeTrainer(LayersVaeTraining(batch=2, crop=32), source)
    for _ in range(2):
        trainer.train_step(10.0, 1.0)
    trainer.save(folder / CHECKPOINT)
    (folder / layers_cache.FOLDER).mkdir()
    vae = trainer.vae.eval()
    for sheets in layers_cache.ranges():
        encode_range(vae, source, sheets, path_of(folder / layers_cache.FOLDER, sheets))
    return folder


@pytest.fixture(scope="module")
def latents(folder: Path) -> SheetLatents:
    return layers_cache.load(folder / layers_cache.FOLDER)


@pytest.fixture(scope="module")
def tokenizer() -> Qwen2Tokenizer:
    return layers_text.train_tokenizer(400)


@pytest.fixture(scope="module")
def vae(folder: Path) -> FlatVae:
    return trained_vae(folder)


@pytest.fixture
def new(latents: SheetLatents, vae: FlatVae, tokenizer: Qwen2Tokenizer) -> Callable[[], LayersTrainer]:
    return lambda: LayersTrainer(_PLAN, latents, captions_of(_SCENES), empty_latents(vae), tokenizer)


def test_the_flat_autoencoder_unfolds_to_the_same_one() -> None:
    torch.manual_seed(3)
    flat = FlatVae(build_vae())
    with torch.no_grad():
        for parameter in flat.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
        image = torch.rand(2, 4, 32, 48) * 2 - 1
        mean, _ = flat.encode(image)
        decoded = flat.decode(mean)
        whole = flat.unfold()
        assert torch.allclose(whole.encode(image[:, :, None]).latent_dist.mode()[:, :, 0], mean, atol=1e-4)
        # diffusers cuts to the range
        assert torch.allclose(whole.decode(mean[:, :, None]).sample[:, :, 0], decoded.clamp(-1, 1), atol=1e-4)


def test_a_resumed_run_repeats_an_unbroken_one(new: Callable[[], LayersTrainer], tmp_path: Path) -> None:
    unbroken = new()
    losses = [unbroken.train_step(60.0) for _ in range(2)]
    first = new()
    assert first.train_step(60.0) == losses[0]
    first.save(tmp_path / "layers.pt")
    second = new()
    assert second.restore(tmp_path / "layers.pt")
    assert second.train_step(60.0) == pytest.approx(losses[1], rel=1e-5)


def test_it_learns(new: Callable[[], LayersTrainer]) -> None:
    trainer = new()
    losses = [trainer.train_step(60.0) for _ in range(9)]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])


def test_prompts_are_read_in_the_familys_template(tokenizer: Qwen2Tokenizer) -> None:
    ids, mask = layers_text.encode(tokenizer, ["", "a woman wearing a red striped dress"])
    assert ids.shape == mask.shape
    assert layers_text.INSTRUCTION < mask[0].sum() < mask[1].sum() <= layers_text.INSTRUCTION + layers_text.LENGTH
    assert tokenizer.decode(ids[1][mask[1]]).count("red striped dress") == 1


def test_what_is_trained_draws_and_is_shipped(
    folder: Path, new: Callable[[], LayersTrainer], vae: FlatVae, tmp_path: Path
) -> None:
    trainer = new()
    trainer.train_step(60.0)
    model = LayersModel(trainer.ema, vae, trainer)
    picture = render(next(scenes(4, held_out=True))).image
    drawn = take_apart(model, picture[None], 3, steps=2)
    assert drawn.shape == (1, 3, 128, 128, 4)
    assert "body" in save_preview(model, tmp_path / "preview.png", 4)
    size = export(tmp_path / "layers", trainer, shipped_vae(folder, trainer.mean, trainer.std))
    assert 10_000_000 < size < 20_000_000
    assert not list((tmp_path / "layers").rglob("*.bin"))
    rule = load_source(tmp_path / "layers").manifest.layers
    assert rule is not None
    assert (rule.usual, rule.names[3]) == (5, ("background", "body", "bottoms", "top", "head"))
