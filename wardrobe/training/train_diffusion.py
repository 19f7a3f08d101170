"""Run the diffusion training: `python -m wardrobe.training.train_diffusion`. Start it again to go on."""

import argparse
import logging
import time
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
from wardrobe.training.models import build_scheduler, build_unet
from wardrobe.training.preview import Denoiser, sample
from wardrobe.training.runtime import CHECKPOINT_SECONDS, runtime_folder

log = logging.getLogger(__name__)

PREVIEW_SECONDS = 540.0
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
    leads = parallel.rank() == 0
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
    saved = previewed = time.monotonic()
    losses: list[float] = []
    while trainer.step < plan.steps:
        losses.append(trainer.train_step())
        if leads and trainer.step % 50 == 0:
            log.info("step %d loss %.4f", trainer.step, sum(losses) / len(losses))
            losses.clear()
        if leads and time.monotonic() - saved > CHECKPOINT_SECONDS:
            trainer.save(folder / CHECKPOINT)
            saved = time.monotonic()
        if leads and time.monotonic() - previewed > PREVIEW_SECONDS:
            save_preview(trainer, tokenizer, autoencoder, folder / "diffusion.png")
            previewed = time.monotonic()
    parallel.stop()
    if leads:
        trainer.save(folder / CHECKPOINT)
        save_preview(trainer, tokenizer, autoencoder, folder / "diffusion.png")


if __name__ == "__main__":
    main()
