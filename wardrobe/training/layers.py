"""Train the layered denoiser until a time of day: `python -m wardrobe.training.layers --until 23:40`.

Again, with a later time, goes on.
"""

import argparse
import logging
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wardrobe.training import layers_cache, parallel
from wardrobe.training.clock import time_left
from wardrobe.training.corpus import training_scenes
from wardrobe.training.layers_models import FlatVae
from wardrobe.training.layers_sample import LayersModel, take_apart
from wardrobe.training.layers_text import train_tokenizer
from wardrobe.training.layers_trainer import CHECKPOINT, LayersTrainer, LayersTraining
from wardrobe.training.layers_vae import to_tensor, trained_vae
from wardrobe.training.loop import run
from wardrobe.training.runtime import runtime_folder
from wardrobe.world.canvas import SIZE
from wardrobe.world.captions import sample_caption
from wardrobe.world.render import render
from wardrobe.world.scene import scenes
from wardrobe.world.sheets import FINEST, NAMES, chequered, finest_sheets, flatten, sheets, soft_iou

log = logging.getLogger(__name__)

PREVIEW_ROWS = 8
PREVIEW_SEED = 77
_CAPTION_SEED = 9


def captions_of(count: int) -> list[str]:
    """One for each training scene."""
    rng = np.random.default_rng(_CAPTION_SEED)
    return [sample_caption(scene, rng) for scene in training_scenes(count)]


@torch.no_grad()
def empty_latents(vae: FlatVae) -> torch.Tensor:
    """Those of a sheet that shows nothing, [16, 16, 16]."""
    nothing = flatten(np.zeros((0, SIZE, SIZE, 4), np.uint8))
    return vae.encode(to_tensor(nothing[None]))[0][0]


def save_preview(model: LayersModel, path: Path, count: int = 5) -> str:
    """Held-out pictures, their sheets as they are and as the model draws them; returns the soft IoU of each sheet."""
    rendered = [render(scene) for scene in islice(scenes(PREVIEW_SEED, held_out=True), PREVIEW_ROWS)]
    pictures = np.stack([picture.image for picture in rendered])
    truths = np.stack([sheets(finest_sheets(picture), count) for picture in rendered])
    drawn = take_apart(model, pictures, count)
    lines = []
    for picture, truth, sheet in zip(pictures, truths, drawn, strict=True):
        lines += [np.hstack([picture, *chequered(kind)]) for kind in (truth, sheet)]
    half = len(lines) // 2
    Image.fromarray(np.hstack([np.vstack(lines[:half]), np.vstack(lines[half:])])).save(path)
    names = NAMES[min(count, len(FINEST)) - 2]
    return ", ".join(f"{name} {soft_iou(drawn[:, k], truths[:, k]):.3f}" for k, name in enumerate(names))


def main() -> None:
    """Train to the end, with checkpoints and previews on the way."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--until", required=True, help="HH:MM of this machine's clock")
    parser.add_argument("--batch", type=int, default=LayersTraining().batch)
    parser.add_argument("--decay-minutes", type=float, default=LayersTraining().decay_minutes)
    options = parser.parse_args()
    parallel.start()
    folder = runtime_folder(options.runtime)
    plan = LayersTraining(batch=options.batch, decay_minutes=options.decay_minutes)
    latents, vae = layers_cache.load(folder / layers_cache.FOLDER), trained_vae(folder)
    trainer = LayersTrainer(plan, latents, captions_of(len(latents.picture)), empty_latents(vae), train_tokenizer())
    trainer.restore(folder / CHECKPOINT)
    model = LayersModel(trainer.ema, vae, trainer)

    def report() -> None:
        log.info("soft IoU: %s", save_preview(model, folder / f"layers-{trainer.step:06d}.png"))

    losses = (trainer.train_step(left.minutes) for left in time_left(options.until))
    run(trainer, losses, folder / CHECKPOINT, report)


if __name__ == "__main__":
    main()
