"""Train the try-on denoiser until a time of day: `python -m wardrobe.training.tryon --until 16:25`; again to go on."""

import argparse
import logging
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from families.tryon.agnostic import agnostic_mask
from wardrobe.training import parallel
from wardrobe.training.clock import time_left
from wardrobe.training.loop import run
from wardrobe.training.runtime import runtime_folder
from wardrobe.training.tryon_cache import FOLDER, category_of, load_shards, masked_picture
from wardrobe.training.tryon_model import WARDROBE, build_tryon_unet, start_from
from wardrobe.training.tryon_sample import Sampling, TryOnModel, TryOnRequest, try_on
from wardrobe.training.tryon_trainer import CHECKPOINT, TryOnTrainer, TryOnTraining
from wardrobe.training.tryon_vae import trained_vae
from wardrobe.world.pairs import tryon_pairs
from wardrobe.world.render import flat_lay, render

log = logging.getLogger(__name__)

PREVIEW_ROWS = 12
PREVIEW_SEED = 77
FAST = Sampling()


def save_preview(model: TryOnModel, path: Path, sampling: Sampling = FAST) -> None:
    """Held-out people: before, garment, masked, result and truth, three groups side by side."""
    rows = []
    for pair in islice(tryon_pairs(PREVIEW_SEED, held_out=True), PREVIEW_ROWS):
        old, new = render(pair.before), render(pair.after)
        rows.append(
            (old.image, agnostic_mask(old.labels, category_of(pair.garment)), flat_lay(pair.garment), new.image)
        )
    people, masks, garments, truths = (np.stack(column) for column in zip(*rows, strict=True))
    drawn = try_on(model, TryOnRequest(people, masks, garments), sampling)
    strips = [
        np.concatenate([person, garment, masked_picture(person, mask), result, truth], axis=1)
        for person, garment, mask, result, truth in zip(people, garments, masks, drawn, truths, strict=True)
    ]
    lines = [np.concatenate(strips[k : k + 3], axis=1) for k in range(0, len(strips), 3)]
    Image.fromarray(np.concatenate(lines)).save(path)


def main() -> None:
    """Train to the end, with checkpoints and previews on the way."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--until", required=True, help="HH:MM of this machine's clock")
    parser.add_argument(
        "--levels-from", type=Path, default=WARDROBE / "unet", help="a UNet whose upper levels are taken over"
    )
    parser.add_argument("--batch", type=int, default=TryOnTraining().batch)
    parser.add_argument("--rate", type=float, default=TryOnTraining().learning_rate)
    parser.add_argument("--decay-minutes", type=float, default=TryOnTraining().decay_minutes)
    options = parser.parse_args()
    parallel.start()
    folder = runtime_folder(options.runtime)
    plan = TryOnTraining(batch=options.batch, learning_rate=options.rate, decay_minutes=options.decay_minutes)
    torch.manual_seed(plan.seed)
    unet = build_tryon_unet()
    log.info("%d numbers taken over", start_from(unet, options.levels_from))
    trainer = TryOnTrainer(plan, unet, load_shards(folder / FOLDER), np.load(folder / FOLDER / "garments.npy"))
    trainer.restore(folder / CHECKPOINT)
    vae = trained_vae(folder).to(trainer.device)

    def report() -> None:
        save_preview(TryOnModel(trainer.ema, vae), folder / f"tryon-{trainer.step:06d}.png")

    losses = (trainer.train_step(left.minutes) for left in time_left(options.until))
    run(trainer, losses, folder / CHECKPOINT, report)


if __name__ == "__main__":
    main()
