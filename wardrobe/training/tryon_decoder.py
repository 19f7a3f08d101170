"""Fit the autoencoder's decoder to try-on: `python -m wardrobe.training.tryon_decoder --minutes 20`.

The wardrobe's decoder learned from a critic to be crisp; here a picture is compared with one right answer, so it is
trained on structural similarity and error alone. The encoder stays: latents and denoiser remain right. Latents get a
little noise, as the denoiser's are not exact; with `--guesses` most are the denoiser's own.
"""

import argparse
import logging
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional

from families.tryon.agnostic import agnostic_mask
from wardrobe.training.runtime import (
    CHECKPOINT_SECONDS,
    Checkpoint,
    load_checkpoint,
    pick_device,
    runtime_folder,
    save_checkpoint,
    step_rng,
)
from wardrobe.training.tryon_cache import Half, category_of, encode
from wardrobe.training.tryon_model import WARDROBE
from wardrobe.training.tryon_sample import Sampling, TryOnModel, TryOnRequest, draw_latents
from wardrobe.training.tryon_trainer import averaged_unet
from wardrobe.training.vae import to_tensor
from wardrobe.world.canvas import Pixels
from wardrobe.world.pairs import tryon_pairs
from wardrobe.world.render import flat_lay, render

log = logging.getLogger(__name__)

CHECKPOINT = "tryon_decoder.pt"
PICTURES_FILE = "tryon_pictures.npz"
GUESSES_FILE = "tryon_guesses.npz"
GUESS_BATCH = 16


@dataclass(frozen=True, slots=True)
class DecoderFit:
    """The plan of a run; `noise` is relative to the scaled latents."""

    pictures: int = 1500
    batch: int = 8
    learning_rate: float = 1e-3
    warmup: int = 30
    similarity: float = 0.5  # of the loss; the rest is mean absolute error times 4
    noise: float = 0.08
    ema_decay: float = 0.99
    seed: int = 41
    compute_dtype: torch.dtype = torch.bfloat16


def similarity(pictures: torch.Tensor, truths: torch.Tensor) -> torch.Tensor:
    """Mean SSIM over 7x7 windows, of float [B, 3, H, W] in -1..1, as scikit-image defines it but for n / (n - 1)."""
    one, two = 0.01**2, 0.03**2
    pictures, truths = (pictures + 1) / 2, (truths + 1) / 2
    x, y, xx, yy, xy = (
        functional.avg_pool2d(values, 7, 1) for values in (pictures, truths, pictures**2, truths**2, pictures * truths)
    )
    cross = (2 * x * y + one) * (2 * (xy - x * y) + two)
    return (cross / ((x**2 + y**2 + one) * (xx - x**2 + yy - y**2 + two))).mean()


class DecoderFitter:
    """fp32 decoder trained under autocast, and its EMA inside a whole autoencoder."""

    def __init__(self, plan: DecoderFit, vae: AutoencoderKL, pictures: Pixels, latents: Half) -> None:
        self.plan = plan
        self.device = pick_device()
        self.step = 0
        self.vae = vae.to(self.device, memory_format=torch.channels_last).requires_grad_(False)
        self.trained = nn.ModuleDict({"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv})
        self.trained.requires_grad_(True)
        self._average = {name: tensor.detach().clone() for name, tensor in self.trained.state_dict().items()}
        self.optimizer = torch.optim.AdamW(
            self.trained.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )
        self._pictures, self._latents = pictures, latents

    def train_step(self, left: float) -> float:
        """One update with `left`, 0..1, of the run to go; returns the loss."""
        plan = self.plan
        rng, noise = step_rng(plan.seed, self.step)
        rows = rng.integers(0, len(self._pictures), plan.batch)
        truths = to_tensor(self._pictures[rows]).to(self.device)
        latents = torch.from_numpy(self._latents[rows]).float()
        latents += (
            plan.noise * torch.rand(plan.batch, 1, 1, 1, generator=noise) * torch.randn(latents.shape, generator=noise)
        )
        rate = plan.learning_rate * min(1.0, (self.step + 1) / plan.warmup) * max(0.01, min(1.0, 2 * left))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        low = plan.compute_dtype is not torch.float32
        with torch.autocast(self.device.type, plan.compute_dtype if low else None, enabled=low):
            drawn = self.vae.decode(latents.to(self.device) / self.vae.config.scaling_factor).sample
        drawn = drawn.float()
        loss = (
            plan.similarity * (1 - similarity(drawn, truths))
            + (1 - plan.similarity) * 4 * (drawn - truths).abs().mean()
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained.parameters(), 1.0)
        self.optimizer.step()
        self._follow()
        self.step += 1
        return float(loss.detach())

    def average(self) -> AutoencoderKL:
        """The autoencoder with the averaged decoder; the trained weights are replaced by it."""
        self.trained.load_state_dict(self._average)
        return self.vae

    def save(self, path: Path) -> None:
        """Write everything that `restore` needs."""
        modules = {"trained": dict(self.trained.state_dict()), "average": self._average}
        save_checkpoint(path, Checkpoint(self.step, modules, self.optimizer.state_dict()))

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one."""
        checkpoint = load_checkpoint(path)
        if checkpoint is None:
            return
        self.trained.load_state_dict(checkpoint.modules["trained"])
        self._average = {name: tensor.to(self.device) for name, tensor in checkpoint.modules["average"].items()}
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.step = checkpoint.step

    @torch.no_grad()
    def _follow(self) -> None:
        decay = min(self.plan.ema_decay, (1 + self.step) / (10 + self.step))
        for name, tensor in self.trained.state_dict().items():
            self._average[name].lerp_(tensor, 1 - decay)


def load_pictures(folder: Path, vae: AutoencoderKL, count: int) -> tuple[Pixels, Half]:
    """Dressed people uint8 [N, 128, 128, 3] and their latents; drawn once, then kept in the folder."""
    path = folder / PICTURES_FILE
    if not path.exists():
        pictures = np.stack([render(pair.after).image for pair in islice(tryon_pairs(9, held_out=False), count)])
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, pictures=pictures, latents=encode(vae, pictures))
        partial.replace(path)
    kept = np.load(path)
    return kept["pictures"], kept["latents"]


def load_guesses(folder: Path, vae: AutoencoderKL, count: int) -> tuple[Pixels, Half]:
    """Dressed people uint8 [N, 128, 128, 3] and the denoiser's latents of them; drawn once, then kept."""
    path = folder / GUESSES_FILE
    if not path.exists():
        model = TryOnModel(averaged_unet(folder), vae)
        pictures, latents = zip(*(_guess(model, start) for start in range(0, count, GUESS_BATCH)), strict=True)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, pictures=np.concatenate(pictures), latents=np.concatenate(latents))
        partial.replace(path)
    kept = np.load(path)
    return kept["pictures"], kept["latents"]


def _guess(model: TryOnModel, start: int) -> tuple[Pixels, Half]:
    """One batch; half of them in one step, as the denoiser's first step decides most."""
    pairs = list(islice(tryon_pairs(20_000 + start, held_out=False), GUESS_BATCH))
    old, new = (
        [render(scene) for scene in scenes] for scenes in zip(*((p.before, p.after) for p in pairs), strict=True)
    )
    masks = np.stack(
        [agnostic_mask(was.labels, category_of(pair.garment)) for was, pair in zip(old, pairs, strict=True)]
    )
    people = np.stack([was.image for was in old])
    request = TryOnRequest(people, masks, np.stack([flat_lay(pair.garment) for pair in pairs]))
    latents = draw_latents(model, request, Sampling(steps=1 + 2 * (start // GUESS_BATCH % 2), seed=start))
    return np.stack([picture.image for picture in new]), latents.half().numpy()


def main() -> None:
    """Fit for some minutes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=DecoderFit().learning_rate)
    parser.add_argument("--guesses", type=int, default=0, help="how many of the denoiser's own latents to add")
    options = parser.parse_args()
    folder, plan = runtime_folder(options.runtime), DecoderFit(learning_rate=options.rate)
    vae = AutoencoderKL.from_pretrained(WARDROBE / "vae", torch_dtype=torch.float32).eval()
    pictures, latents = load_pictures(folder, vae, plan.pictures)
    if options.guesses:
        guesses = load_guesses(folder, vae, options.guesses)
        pictures = np.concatenate([pictures[: options.guesses // 2], guesses[0]])
        latents = np.concatenate([latents[: options.guesses // 2], guesses[1]])
    fitter = DecoderFitter(plan, vae, pictures, latents)
    fitter.restore(folder / CHECKPOINT)
    started = saved = time.monotonic()
    losses: list[float] = []
    while (left := 1 - (time.monotonic() - started) / (60 * options.minutes)) > 0:
        losses.append(fitter.train_step(left))
        if fitter.step % 25 == 0:
            log.info("step %d loss %.4f", fitter.step, sum(losses) / len(losses))
            losses.clear()
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            fitter.save(folder / CHECKPOINT)
            saved = time.monotonic()
    fitter.save(folder / CHECKPOINT)


if __name__ == "__main__":
    main()
