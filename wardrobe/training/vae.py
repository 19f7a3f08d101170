"""Train the autoencoder on crops: `python -m wardrobe.training.vae`.

Loss: L1 at several scales (the coarse ones are what gets colours right), L1 of gradients (edges and patterns),
and a KL term just large enough to keep latents bounded.
"""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch.nn import functional

from wardrobe.training import corpus, parallel
from wardrobe.training.checkpoints import Parts, Resumable
from wardrobe.training.loop import run
from wardrobe.training.models import LATENT_STD, build_vae
from wardrobe.training.runtime import pick_device, runtime_folder, step_rng
from wardrobe.world.canvas import SIZE, Pixels

log = logging.getLogger(__name__)

CHECKPOINT = "vae.pt"
FINAL = "vae"


@dataclass(frozen=True, slots=True)
class VaeTraining:
    """The plan of a run."""

    steps: int = 6000
    batch: int = 16
    crop: int = 64
    full_size_steps: int = 300  # the last ones see whole pictures, as serving does
    learning_rate: float = 2e-3
    warmup: int = 100
    kl_weight: float = 2e-6
    seed: int = 11


def learning_rate(step: int, plan: VaeTraining) -> float:
    """Warm-up, then cosine to 2 %."""
    if step < plan.warmup:
        return plan.learning_rate * (step + 1) / plan.warmup
    done = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return plan.learning_rate * (0.02 + 0.98 * 0.5 * (1 + float(np.cos(np.pi * min(done, 1.0)))))


def to_tensor(pixels: Pixels) -> torch.Tensor:
    """uint8 [B, H, W, 3] -> float32 [B, 3, H, W] in -1..1, channels last."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def to_pixels(images: torch.Tensor) -> Pixels:
    """float [B, 3, H, W] in -1..1 -> uint8 [B, H, W, 3]."""
    scaled = images.detach().float().add(1).mul(127.5).round().clamp(0, 255).byte()
    pixels: Pixels = scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def sample_crops(sources: list[Pixels], plan: VaeTraining, step: int, rng: np.random.Generator) -> torch.Tensor:
    """A batch of random crops, one in eight from the extras; float32 [B, 3, crop, crop]."""
    full = step >= plan.steps - plan.full_size_steps
    crop, count = (SIZE, plan.batch // 4) if full else (plan.crop, plan.batch)
    count = max(1, count // parallel.world_size())
    pixels = np.empty((count, crop, crop, 3), np.uint8)
    for row in range(count):
        source = sources[1 if rng.random() < 0.125 else 0]
        y, x = (int(v) for v in rng.integers(0, SIZE - crop + 1, 2))
        cut = source[int(rng.integers(len(source))), y : y + crop, x : x + crop]
        pixels[row] = cut[:, ::-1] if rng.random() < 0.5 else cut
    return to_tensor(pixels)


def reconstruction_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Multi-scale L1 plus gradient L1; both tensors [B, 3, H, W]."""
    error = output - target
    loss = error.abs().mean()
    loss = loss + 0.7 * (
        (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    )
    for scale in (2, 4, 8):
        error = functional.avg_pool2d(error, 2)
        # brightness alone explains most of the error, so hue is asked for separately
        hue = error - error.mean(1, keepdim=True)
        loss = loss + (0.6 * error.abs().mean() + 0.8 * hue.abs().mean()) * (1 + scale / 8)
    return loss


class VaeTrainer(Resumable):
    """One model, one optimizer, one step at a time."""

    def __init__(self, plan: VaeTraining, sources: list[Pixels], vae: AutoencoderKL | None = None) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.device = pick_device()
        self.vae = (vae or build_vae()).to(self.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(
            self.vae.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        self._sources = sources

    def train_step(self) -> float:
        """One update; returns the reconstruction loss."""
        plan = self.plan
        rng, noise = step_rng(plan.seed, self.step)
        images = sample_crops(self._sources, plan, self.step, rng).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, plan)
        with torch.autocast(self.device.type, torch.bfloat16):
            posterior = self.vae.encode(images).latent_dist
            draw = torch.randn(posterior.mean.shape, generator=noise).to(self.device)
            output = self.vae.decode(posterior.mean + posterior.std * draw).sample
        loss = reconstruction_loss(output.float(), images)
        kl = (
            0.5
            * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).sum((1, 2, 3)).mean()
        )
        self.optimizer.zero_grad(set_to_none=True)
        (loss + plan.kl_weight * kl).backward()
        parallel.average_gradients(self.vae.parameters())
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def parts(self) -> Parts:
        """What a run needs to go on."""
        return Parts({"vae": self.vae}, {"vae": self.optimizer})


@torch.no_grad()
def whiten(vae: AutoencoderKL, images: torch.Tensor) -> None:
    """Fold each latent channel's mean and deviation into the 1x1 convolutions around the latents.

    Afterwards channels have mean 0 and deviation `LATENT_STD`, and decoding is unchanged.
    """
    means = vae.encode(images).latent_dist.mean.float()
    mean, std = means.mean((0, 2, 3)), means.std((0, 2, 3)) / LATENT_STD
    encode, decode = vae.quant_conv, vae.post_quant_conv
    channels = mean.shape[0]
    encode.weight[:channels] /= std[:, None, None, None]
    encode.bias[:channels] = (encode.bias[:channels] - mean) / std
    encode.bias[channels:] -= 2 * std.log()
    decode.bias += decode.weight[:, :, 0, 0] @ mean
    decode.weight *= std[None, :, None, None]


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, pictures: Pixels, batch: int = 32) -> Pixels:
    """Pictures through the autoencoder and back; uint8 [B, H, W, 3] both."""
    decoded = []
    for start in range(0, len(pictures), batch):
        latents = vae.encode(to_tensor(pictures[start : start + batch])).latent_dist.mode()
        decoded.append(to_pixels(vae.decode(latents).sample))
    return np.concatenate(decoded)


@torch.no_grad()
def save_preview(vae: AutoencoderKL, images: torch.Tensor, path: Path) -> float:
    """Pictures above their reconstructions; returns the mean absolute error in 8-bit steps."""
    output = vae.decode(vae.encode(images).latent_dist.mode()).sample
    before, after = to_pixels(images), to_pixels(output)
    Image.fromarray(np.vstack([np.hstack(list(before)), np.hstack(list(after))])).save(path)
    return float(np.abs(before.astype(np.int32) - after).mean())


def main() -> None:
    """Train to the last step, whiten the latents and save the autoencoder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=VaeTraining().steps)
    options = parser.parse_args()
    parallel.start()
    folder = runtime_folder(options.runtime)
    plan = VaeTraining(steps=options.steps)
    sources = [corpus.load(folder, corpus.PEOPLE_FILE), corpus.load(folder, corpus.EXTRAS_FILE)]
    trainer = VaeTrainer(plan, sources)
    trainer.restore(folder / CHECKPOINT)
    preview = torch.cat([to_tensor(sources[0][:8].copy()), to_tensor(sources[1][:3].copy())]).to(trainer.device)

    def report() -> None:
        log.info("preview error %.2f", save_preview(trainer.vae, preview, folder / "vae.png"))

    losses = (trainer.train_step() for _ in range(trainer.step, plan.steps))
    if not run(trainer, losses, folder / CHECKPOINT, report):
        return
    vae = trainer.vae.eval()
    whiten(vae, to_tensor(sources[0][:256].copy()).to(trainer.device))
    log.info("final preview error %.2f", save_preview(vae, preview, folder / "vae.png"))
    vae.cpu().to(memory_format=torch.contiguous_format).save_pretrained(folder / FINAL)


if __name__ == "__main__":
    main()
