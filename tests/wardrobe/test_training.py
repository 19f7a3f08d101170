from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from wardrobe.training.decoder import DecoderTrainer, DecoderTraining, guess
from wardrobe.training.diffusion import DiffusionTrainer, DiffusionTraining
from wardrobe.training.export import WEIGHTS
from wardrobe.training.models import TEXT_LENGTH, build_text_encoder
from wardrobe.training.text import KINDS, TextTrainer, TextTraining, targets
from wardrobe.training.tokenizer import vocabulary_of
from wardrobe.training.vae import VaeTrainer, VaeTraining, whiten
from wardrobe.world.attributes import Skin
from wardrobe.world.parsing import parse_caption
from wardrobe.world.scene import scenes

SCENES = list(islice(scenes(6, held_out=False), 8))


def diffusion_trainer() -> DiffusionTrainer:
    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer")
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(16, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=TEXT_LENGTH,
        )
    )
    latents = np.random.default_rng(0).standard_normal((len(SCENES), 4, 16, 16)).astype(np.float16)
    plan = DiffusionTraining(steps=6, batch=2, warmup=2)
    return DiffusionTrainer(plan, unet, text, tokenizer=tokenizer, latents=latents, scenes=SCENES)


def test_diffusion_resumes_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    unbroken, first, second = diffusion_trainer(), diffusion_trainer(), diffusion_trainer()
    losses = [unbroken.train_step() for _ in range(4)]
    for _ in range(2):
        first.train_step()
    first.save(tmp_path / "run.pt")
    second.restore(tmp_path / "run.pt")
    assert [second.train_step() for _ in range(2)] == losses[2:]
    for name, weight in unbroken.ema.state_dict().items():
        assert torch.equal(weight, second.ema.state_dict()[name]), name


def tiny_vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        norm_num_groups=4,
    )


def vae_trainer() -> VaeTrainer:
    pictures = np.random.default_rng(0).integers(0, 255, (3, 128, 128, 3), dtype=np.uint8)
    return VaeTrainer(VaeTraining(steps=20, batch=2, crop=16, full_size_steps=0), [pictures, pictures], tiny_vae())


def test_autoencoder_resumes_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    unbroken, first, second = vae_trainer(), vae_trainer(), vae_trainer()
    losses = [unbroken.train_step() for _ in range(4)]
    for _ in range(2):
        first.train_step()
    first.save(tmp_path / "run.pt")
    second.restore(tmp_path / "run.pt")
    assert [second.train_step() for _ in range(2)] == losses[2:]


def decoder_trainer() -> DecoderTrainer:
    diffusion = diffusion_trainer()
    plan = DecoderTraining(steps=8, batch=2, critic_from=0.25, guesses=4)
    latents = np.random.default_rng(0).standard_normal((len(SCENES), 4, 16, 16)).astype(np.float16)
    guesses = guess(
        plan,
        diffusion.ema["unet"],
        diffusion.ema["text_encoder"],
        tokenizer=CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer"),
        latents=latents,
        scenes=SCENES,
    )
    pictures = np.random.default_rng(0).integers(0, 255, (len(SCENES), 32, 32, 3), dtype=np.uint8)
    return DecoderTrainer(plan, [pictures, pictures], tiny_vae(), guesses)


def test_decoder_resumes_as_if_it_had_never_stopped_and_leaves_the_encoder_alone(tmp_path: Path) -> None:
    unbroken, first, second = decoder_trainer(), decoder_trainer(), decoder_trainer()
    before = {name: weight.clone() for name, weight in unbroken.vae.state_dict().items()}
    losses = [unbroken.train_step() for _ in range(6)]
    for _ in range(4):  # the critic has joined by then
        first.train_step()
    first.save(tmp_path / "run.pt")
    second.restore(tmp_path / "run.pt")
    assert [second.train_step() for _ in range(2)] == losses[4:]
    changed = {name for name, weight in unbroken.vae.state_dict().items() if not torch.equal(weight, before[name])}
    assert changed
    assert all(name.startswith(("decoder.", "post_quant_conv.")) for name in changed)


@torch.no_grad()
def test_whitening_sets_the_latents_scale_and_keeps_pictures() -> None:
    vae = tiny_vae().eval()
    images = torch.randn(4, 3, 32, 32)
    before = vae.decode(vae.encode(images).latent_dist.mode()).sample
    whiten(vae, images)
    latents = vae.encode(images).latent_dist.mode()
    assert torch.allclose(latents.mean((0, 2, 3)), torch.zeros(4), atol=1e-3)
    assert latents.std((0, 2, 3)).tolist() == pytest.approx([2.0] * 4, rel=1e-3)
    assert torch.allclose(vae.decode(latents).sample, before, atol=1e-3)


def test_text_warm_up_learns_from_what_captions_name() -> None:
    said = parse_caption("a woman with long brown hair, wearing a red striped dress, on a beach")
    classes = targets(said)
    assert len(classes) == len(KINDS)
    assert classes[:4] == [0, 1, 1, len(Skin)]
    tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer")
    plan = TextTraining(steps=12, batch=8, warmup=1, corpus=8)
    trainer = TextTrainer(plan, build_text_encoder(vocabulary_of(tokenizer)), tokenizer)
    losses = [trainer.train_step()[0] for _ in range(12)]
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
