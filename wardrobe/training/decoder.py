"""Sharpen the autoencoder's decoder alone: `python -m wardrobe.training.decoder`.

The encoder stays as it is, so latents already cached, and a denoiser already trained on them, remain right.
A little noise on the latents prepares the decoder for the small errors of a denoiser that takes few steps.
"""

import argparse
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import nn

from wardrobe.training import corpus, parallel
from wardrobe.training.models import LATENT_STD
from wardrobe.training.runtime import (
    CHECKPOINT_SECONDS,
    Checkpoint,
    load_checkpoint,
    pick_device,
    runtime_folder,
    save_checkpoint,
    step_rng,
)
from wardrobe.training.vae import FINAL, VaeTraining, learning_rate, sample_crops, save_preview, to_tensor
from wardrobe.world.canvas import Pixels

log = logging.getLogger(__name__)

CHECKPOINT = "decoder.pt"


@dataclass(frozen=True, slots=True)
class DecoderTraining:
    """The plan of a run; `noise` is relative to the latents' standard deviation."""

    steps: int = 2000
    learning_rate: float = 1.2e-3
    noise: float = 0.04
    seed: int = 41

    @property
    def crops(self) -> VaeTraining:
        """How pictures are cut and the learning rate moves: as for the whole autoencoder."""
        return VaeTraining(
            steps=self.steps, full_size_steps=self.steps // 3, learning_rate=self.learning_rate, seed=self.seed
        )


def detail_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 of pixels, of their differences to the neighbours, and of 4x4 means; tensors [B, 3, H, W]."""
    error = output - target
    across, down = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    means = nn.functional.avg_pool2d(error, 4)
    return error.abs().mean() + 0.7 * (across.abs().mean() + down.abs().mean()) + means.abs().mean()


class DecoderTrainer:
    """Updates `vae.decoder` and `vae.post_quant_conv`."""

    def __init__(self, plan: DecoderTraining, sources: list[Pixels], vae: AutoencoderKL) -> None:
        self.plan, self.step = plan, 0
        self.device = pick_device()
        self.vae = vae.to(self.device, memory_format=torch.channels_last).requires_grad_(False)
        self._trained = nn.ModuleList([vae.decoder, vae.post_quant_conv]).requires_grad_(True)
        self.optimizer = torch.optim.AdamW(
            self._trained.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        self._sources = sources

    def train_step(self) -> float:
        """One update; returns the loss."""
        plan = self.plan.crops
        rng, noise = step_rng(plan.seed, self.step)
        images = sample_crops(self._sources, plan, self.step, rng).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, plan)
        with torch.autocast(self.device.type, torch.bfloat16):
            latents = self.vae.encode(images).latent_dist.mode()
            drift = torch.randn(latents.shape, generator=noise).to(self.device) * (self.plan.noise * LATENT_STD)
            output = self.vae.decode(latents + drift).sample
        loss = detail_loss(output.float(), images)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        parallel.average_gradients(self._trained.parameters())
        nn.utils.clip_grad_norm_(self._trained.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def save(self, path: Path) -> None:
        """Write everything that `restore` needs."""
        state = {"trained": self._trained.state_dict()}
        save_checkpoint(path, Checkpoint(self.step, state, self.optimizer.state_dict()))

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one."""
        checkpoint = load_checkpoint(path)
        if checkpoint is not None:
            self._trained.load_state_dict(checkpoint.modules["trained"])
            self.optimizer.load_state_dict(checkpoint.optimizer)
            self.step = checkpoint.step


def main() -> None:
    """Train to the last step and replace the saved autoencoder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=DecoderTraining().steps)
    options = parser.parse_args()
    parallel.start()
    leads = parallel.rank() == 0
    folder = runtime_folder(options.runtime)
    sources = [corpus.load(folder, corpus.PEOPLE_FILE), corpus.load(folder, corpus.EXTRAS_FILE)]
    plan = DecoderTraining(steps=options.steps)
    trainer = DecoderTrainer(plan, sources, AutoencoderKL.from_pretrained(folder / FINAL))
    trainer.restore(folder / CHECKPOINT)
    preview = torch.cat([to_tensor(sources[0][:8].copy()), to_tensor(sources[1][:3].copy())]).to(trainer.device)
    saved = time.monotonic()
    losses: list[float] = []
    while trainer.step < plan.steps:
        losses.append(trainer.train_step())
        if leads and trainer.step % 50 == 0:
            log.info("step %d loss %.4f", trainer.step, sum(losses) / len(losses))
            losses.clear()
        if leads and time.monotonic() - saved > CHECKPOINT_SECONDS:
            trainer.save(folder / CHECKPOINT)
            log.info("preview error %.2f", save_preview(trainer.vae, preview, folder / "decoder.png"))
            saved = time.monotonic()
    parallel.stop()
    if leads:
        trainer.save(folder / CHECKPOINT)
        log.info("final preview error %.2f", save_preview(trainer.vae, preview, folder / "decoder.png"))
        trainer.vae.cpu().to(memory_format=torch.contiguous_format).save_pretrained(folder / FINAL)


if __name__ == "__main__":
    main()
