"""Run the diffusion training: `python -m wardrobe.training.train_diffusion`. Start it again to go on."""

import argparse
import logging
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer

from wardrobe.evaluation.captions import heldout_captions
from wardrobe.evaluation.sheet import contact_sheet
from wardrobe.training import corpus, parallel, text, vae
from wardrobe.training import latents as latent_cache
from wardrobe.training import tokenizer as bpe
from wardrobe.training.diffusion import CHECKPOINT, DiffusionTrainer, DiffusionTraining
from wardrobe.training.loop import run
from wardrobe.training.models import build_scheduler, build_unet
from wardrobe.training.preview import Denoiser, sample
from wardrobe.training.runtime import runtime_folder

PREVIEW_CAPTIONS = 16


def save_preview(trainer: DiffusionTrainer, tokenizer: CLIPTokenizer, autoencoder: AutoencoderKL, path: Path) -> None:
    """Held-out captions drawn by the EMA weights in a few steps."""
    captions = [item.caption for item in heldout_captions()[:PREVIEW_CAPTIONS]]
    denoiser = Denoiser(trainer.ema["unet"], trainer.ema["text_encoder"], tokenizer, autoencoder, build_scheduler())
    pictures = [Image.fromarray(pixels) for pixels in sample(denoiser, captions)]
    contact_sheet(pictures, captions, columns=8).save(path)


def main() -> None:
    """Train to the last step, with checkpoints and previews on the way."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=DiffusionTraining().steps)
    parser.add_argument("--batch", type=int, default=DiffusionTraining().batch)
    options = parser.parse_args()
    parallel.start()
    folder = runtime_folder(options.runtime)
    plan = DiffusionTraining(steps=options.steps, batch=options.batch)
    torch.manual_seed(plan.seed)
    tokenizer = CLIPTokenizer.from_pretrained(folder / bpe.FINAL)
    autoencoder = AutoencoderKL.from_pretrained(folder / vae.FINAL).eval()
    latents = latent_cache.load(folder)
    text_encoder = CLIPTextModel.from_pretrained(folder / text.FINAL)
    scenes = corpus.training_scenes(len(latents))
    trainer = DiffusionTrainer(plan, build_unet(), text_encoder, tokenizer=tokenizer, latents=latents, scenes=scenes)
    trainer.restore(folder / CHECKPOINT)

    def report() -> None:
        save_preview(trainer, tokenizer, autoencoder, folder / "diffusion.png")

    run(trainer, (trainer.train_step() for _ in range(trainer.step, plan.steps)), folder / CHECKPOINT, report)


if __name__ == "__main__":
    main()
