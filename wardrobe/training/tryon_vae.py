"""Train the try-on's own autoencoder until a time of day: `python -m wardrobe.training.tryon_vae --until 16:25`.

Cells of 4 pixels, not 8: patterns and seams of a few pixels must come through, and a picture is compared with one right
answer. So the loss is structural similarity and error, without a critic.
"""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn import functional

from wardrobe.training import corpus, parallel
from wardrobe.training.checkpoints import Parts, Resumable
from wardrobe.training.clock import falling_rate, time_left
from wardrobe.training.loop import run
from wardrobe.training.runtime import follow, pick_device, runtime_folder, step_rng
from wardrobe.training.tryon_model import build_tryon_vae
from wardrobe.training.vae import save_preview, to_tensor, whiten
from wardrobe.world.canvas import SIZE, Pixels

log = logging.getLogger(__name__)

CHECKPOINT = "tryon_vae.pt"
FINAL = "tryon_vae"
_EXTRAS, _CENTRED = 0.2, 0.7
_LEFT, _TOP = 20, 20


@dataclass(frozen=True, slots=True)
class TryOnVaeTraining:
    """The plan of a run."""

    batch: int = 16
    crop: int = 64
    learning_rate: float = 1e-3
    warmup: int = 200
    similarity: float = 0.5  # of the loss; the rest is mean absolute error times 4
    kl_weight: float = 1e-6
    ema_decay: float = 0.995
    seed: int = 47


def similarity(pictures: torch.Tensor, truths: torch.Tensor) -> torch.Tensor:
    """Mean SSIM over 7x7 windows, of float [B, 3, H, W] in -1..1, as scikit-image defines it but for n / (n - 1)."""
    one, two = 0.01**2, 0.03**2
    pictures, truths = (pictures + 1) / 2, (truths + 1) / 2
    x, y, xx, yy, xy = (
        functional.avg_pool2d(values, 7, 1) for values in (pictures, truths, pictures**2, truths**2, pictures * truths)
    )
    cross = (2 * x * y + one) * (2 * (xy - x * y) + two)
    return (cross / ((x**2 + y**2 + one) * (xx - x**2 + yy - y**2 + two))).mean()


def sample_crops(people: Pixels, extras: Pixels, plan: TryOnVaeTraining, rng: np.random.Generator) -> torch.Tensor:
    """Crops float32 [count, 3, crop, crop], most of people's middle, where the clothes are."""
    pixels = np.empty((plan.batch // parallel.world_size(), plan.crop, plan.crop, 3), np.uint8)
    room = SIZE - plan.crop + 1
    for row in range(len(pixels)):
        source = extras if rng.random() < _EXTRAS else people
        y, x = (int(v) for v in rng.integers(0, room, 2))
        if source is people and rng.random() < _CENTRED:
            y, x = int(rng.integers(_TOP, room)), int(rng.integers(_LEFT, room - _LEFT))
        cut = source[int(rng.integers(len(source))), y : y + plan.crop, x : x + plan.crop]
        pixels[row] = cut[:, ::-1] if rng.random() < 0.5 else cut
    return to_tensor(pixels)


class TryOnVaeTrainer(Resumable):
    """fp32 weights trained under autocast, and their EMA."""

    def __init__(self, plan: TryOnVaeTraining, people: Pixels, extras: Pixels) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.device = pick_device()
        self.vae = build_tryon_vae().to(self.device, memory_format=torch.channels_last)
        self.ema = build_tryon_vae().to(self.device, memory_format=torch.channels_last).requires_grad_(False)
        self.ema.load_state_dict(self.vae.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.vae.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        self._people, self._extras = people, extras

    def train_step(self, share_left: float) -> float:
        """One update with `share_left`, 0..1, of the run to go; returns the loss."""
        plan = self.plan
        rng, noise = step_rng(plan.seed, self.step)
        images = sample_crops(self._people, self._extras, plan, rng).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = falling_rate(self.step, share_left, plan.learning_rate, plan.warmup)
        with torch.autocast(self.device.type, torch.bfloat16):
            posterior = self.vae.encode(images).latent_dist
            draw = torch.randn(posterior.mean.shape, generator=noise).to(self.device)
            output = self.vae.decode(posterior.mean + posterior.std * draw).sample
        output, mean, variance = output.float(), posterior.mean.float(), posterior.var.float()
        kl = 0.5 * (mean**2 + variance - 1 - posterior.logvar.float()).sum((1, 2, 3)).mean()
        loss = unlikeness(output, images, plan.similarity)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss + plan.kl_weight * kl)
        parallel.average_gradients(self.vae.parameters())
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimizer.step()
        follow(self.ema, self.vae, self.step, plan.ema_decay)
        self.step += 1
        return float(loss.detach())

    def parts(self) -> Parts:
        """What a run needs to go on."""
        return Parts({"vae": self.vae, "ema": self.ema}, {"vae": self.optimizer})


def unlikeness(pictures: torch.Tensor, truths: torch.Tensor, share: float) -> torch.Tensor:
    """What is trained on: structural similarity by `share`, and four times the mean absolute error, of -1..1."""
    loss: torch.Tensor = share * (1 - similarity(pictures, truths)) + (1 - share) * 4 * (pictures - truths).abs().mean()
    return loss


def trained_vae(folder: Path) -> AutoencoderKL:
    """The trained autoencoder, float32. Raises FileNotFoundError where there is none."""
    if not (folder / FINAL).is_dir():
        raise FileNotFoundError(f"{folder / FINAL}: run `python -m wardrobe.training.tryon_vae` first")
    return AutoencoderKL.from_pretrained(folder / FINAL, torch_dtype=torch.float32).eval()


def main() -> None:
    """Train to the end, whiten the latents and save the autoencoder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--until", required=True, help="HH:MM of this machine's clock")
    options = parser.parse_args()
    parallel.start()
    folder = runtime_folder(options.runtime)
    people, extras = corpus.load(folder, corpus.PEOPLE_FILE), corpus.load(folder, corpus.EXTRAS_FILE)
    trainer = TryOnVaeTrainer(TryOnVaeTraining(), people, extras)
    trainer.restore(folder / CHECKPOINT)
    preview = torch.cat([to_tensor(people[:8].copy()), to_tensor(extras[:3].copy())]).to(trainer.device)

    def report() -> None:
        log.info("preview error %.2f", save_preview(trainer.ema, preview, folder / "tryon_vae.png"))

    losses = (trainer.train_step(left.share) for left in time_left(options.until))
    if not run(trainer, losses, folder / CHECKPOINT, report):
        return
    vae = trainer.ema.eval()
    whiten(vae, to_tensor(people[:256].copy()).to(trainer.device))
    log.info("final preview error %.2f", save_preview(vae, preview, folder / "tryon_vae.png"))
    vae.cpu().to(memory_format=torch.contiguous_format).save_pretrained(folder / FINAL)


if __name__ == "__main__":
    main()
