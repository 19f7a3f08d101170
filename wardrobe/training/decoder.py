"""Sharpen the autoencoder's decoder alone: `python -m wardrobe.training.decoder`.

The encoder stays as it is, so latents already cached, and a denoiser already trained on them, remain right.
Half of the latents are the denoiser's own guesses, whose errors are not noise but missing detail; the others are
exact, with a little noise. A critic that sees patches asks for crisp edges where L1 alone settles for the median.
"""

import argparse
import logging
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from wardrobe.training import corpus, diffusion, parallel, text
from wardrobe.training import latents as latent_cache
from wardrobe.training import tokenizer as bpe
from wardrobe.training.checkpoints import Parts, Resumable, load_checkpoint
from wardrobe.training.latents import Latents
from wardrobe.training.loop import run
from wardrobe.training.models import LATENT_STD, build_scheduler, build_unet
from wardrobe.training.runtime import pick_device, runtime_folder, step_rng
from wardrobe.training.vae import FINAL, VaeTraining, learning_rate, save_preview, to_tensor
from wardrobe.world.canvas import Pixels
from wardrobe.world.captions import sample_caption
from wardrobe.world.scene import Scene

log = logging.getLogger(__name__)

CHECKPOINT = "decoder.pt"
GUESS_BATCH = 25


@dataclass(frozen=True, slots=True)
class DecoderTraining:
    """The plan of a run; `noise` is relative to the latents' standard deviation."""

    steps: int = 2000
    batch: int = 4
    learning_rate: float = 6e-4
    critic_rate: float = 4e-4
    critic_from: float = 0.2  # of all steps
    adversarial: float = 0.02
    features: float = 0.1
    noise: float = 0.04
    guesses: int = 1200  # pictures of which the denoiser's guess is kept
    guess_from: tuple[int, int] = (50, 350)  # timesteps: with more noise the guess is another picture
    guess_steps: int = 3
    seed: int = 41


def detail_loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 of pixels, of their differences to the neighbours, and of 4x4 means; tensors [B, 3, H, W]."""
    error = output - target
    across, down = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    means = nn.functional.avg_pool2d(error, 4)
    return error.abs().mean() + 0.7 * (across.abs().mean() + down.abs().mean()) + means.abs().mean()


class Critic(nn.Module):
    """[B, 3, H, W] -> feature maps of three depths and, last, one score per patch."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 96)
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 4, stride=2, padding=1),
                nn.GroupNorm(8, outputs),
                nn.LeakyReLU(0.2),
            )
            for inputs, outputs in pairwise(widths)
        )
        self.score = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """All maps, for comparing a picture with its original layer by layer."""
        maps = [images]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return [*maps[1:], self.score(maps[-1])]


@dataclass(frozen=True, slots=True)
class Guesses:
    """Row numbers of pictures and the clean latents, as the VAE decodes them, that a denoiser saw in their noise."""

    rows: list[int]
    latents: torch.Tensor


@torch.no_grad()
def guess(
    plan: DecoderTraining,
    unet: UNet2DConditionModel,
    text_encoder: CLIPTextModel,
    *,
    tokenizer: CLIPTokenizer,
    latents: Latents,
    scenes: list[Scene],
) -> Guesses:
    """A few DDIM steps from a random timestep to clean; each process makes its own share."""
    device = pick_device()
    unet.to(device).eval().set_attn_processor(AttnProcessor())
    text_encoder.to(device).eval().set_attn_implementation("eager")
    rng, noise = step_rng(plan.seed, 0)
    rows = [int(row) for row in rng.integers(0, len(latents), max(1, plan.guesses // parallel.world_size()))]
    alphas = build_scheduler().alphas_cumprod

    def mix(times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        kept = alphas[times][:, None, None, None]
        return kept.sqrt(), (1 - kept).sqrt()

    found = []
    for start in range(0, len(rows), GUESS_BATCH):
        batch = rows[start : start + GUESS_BATCH]
        exact = torch.from_numpy(latents[batch]).float()
        first = torch.randint(*plan.guess_from, (len(batch),), generator=noise)
        signal, sigma = mix(first)
        noisy = signal * exact + sigma * torch.randn(exact.shape, generator=noise)
        ids = torch.from_numpy(bpe.encode(tokenizer, [sample_caption(scenes[row], rng) for row in batch])).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            states = text_encoder(ids).last_hidden_state
        for left in range(plan.guess_steps, 0, -1):
            times = first * left // plan.guess_steps
            signal, sigma = mix(times)
            with torch.autocast(device.type, torch.bfloat16):
                v = unet(noisy.to(device), times.to(device), states).sample.float().cpu()
            clean, eps = signal * noisy - sigma * v, sigma * noisy + signal * v
            signal, sigma = mix(first * (left - 1) // plan.guess_steps)
            noisy = signal * clean + sigma * eps
        found.append(clean * LATENT_STD)
    return Guesses(rows, torch.cat(found))


class DecoderTrainer(Resumable):
    """Updates `vae.decoder` and `vae.post_quant_conv`, and the critic that is thrown away afterwards.

    `sources` are people and extras; `guesses` refers to rows of people, None where no denoiser is trained yet.
    """

    def __init__(
        self, plan: DecoderTraining, sources: list[Pixels], vae: AutoencoderKL, guesses: Guesses | None = None
    ) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.device = pick_device()
        self.vae = vae.to(self.device, memory_format=torch.channels_last).requires_grad_(False)
        self._trained = nn.ModuleList([vae.decoder, vae.post_quant_conv]).requires_grad_(True)
        self._critic = Critic().to(self.device)
        self.optimizer = torch.optim.AdamW(
            self._trained.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        self._critic_optimizer = torch.optim.AdamW(
            self._critic.parameters(), lr=plan.critic_rate, betas=(0.5, 0.99), fused=True
        )
        self._sources, self._guesses = sources, guesses

    def _draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Pictures [B, 3, 128, 128] and the latents to decode them from."""
        plan = self.plan
        rng, noise = step_rng(plan.seed, self.step)
        pictures: list[Pixels] = []
        chosen: list[int | None] = []
        for _ in range(max(1, plan.batch // parallel.world_size())):
            if self._guesses is not None and rng.random() < 0.5:
                place = int(rng.integers(len(self._guesses.rows)))
                chosen.append(place)
                pictures.append(self._sources[0][self._guesses.rows[place]])
            else:
                source = self._sources[1 if rng.random() < 0.25 else 0]
                chosen.append(None)
                pictures.append(source[int(rng.integers(len(source)))])
        images = to_tensor(np.stack(pictures)).to(self.device, memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16):
            latents = self.vae.encode(images).latent_dist.mode().float()
        latents += torch.randn(latents.shape, generator=noise).to(self.device) * (plan.noise * LATENT_STD)
        for row, choice in enumerate(chosen):
            if choice is not None and self._guesses is not None:
                latents[row] = self._guesses.latents[choice].to(self.device)
        return images, latents

    def train_step(self) -> float:
        """One update; returns the loss without the critic's part."""
        plan = self.plan
        images, latents = self._draw()
        schedule = VaeTraining(steps=plan.steps, learning_rate=plan.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, schedule)
        with torch.autocast(self.device.type, torch.bfloat16):
            output = self.vae.decode(latents).sample
        output = output.float()
        detail = detail_loss(output, images)
        loss = detail
        if self.step >= plan.critic_from * plan.steps:
            self._train_critic(output.detach(), images)
            self._critic.requires_grad_(False)
            with torch.autocast(self.device.type, torch.bfloat16):
                seen, wanted = self._critic(output), self._critic(images)
            self._critic.requires_grad_(True)
            likeness = torch.stack(
                [(a.float() - b.float()).abs().mean() for a, b in zip(seen[:-1], wanted[:-1], strict=True)]
            )
            loss = loss - plan.adversarial * seen[-1].float().mean() + plan.features * likeness.sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        parallel.average_gradients(self._trained.parameters())
        nn.utils.clip_grad_norm_(self._trained.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return float(detail.detach())

    def _train_critic(self, drawn: torch.Tensor, real: torch.Tensor) -> None:
        with torch.autocast(self.device.type, torch.bfloat16):
            low, high = self._critic(drawn)[-1].float(), self._critic(real)[-1].float()
        loss = nn.functional.relu(1 + low).mean() + nn.functional.relu(1 - high).mean()
        self._critic_optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        parallel.average_gradients(self._critic.parameters())
        self._critic_optimizer.step()

    def parts(self) -> Parts:
        """What a run needs to go on."""
        return Parts(
            {"trained": self._trained, "critic": self._critic},
            {"trained": self.optimizer, "critic": self._critic_optimizer},
        )


def load_guesses(plan: DecoderTraining, folder: Path) -> Guesses | None:
    """By the trained denoiser of a runtime folder; None where there is none."""
    checkpoint = load_checkpoint(folder / diffusion.CHECKPOINT)
    if checkpoint is None:
        log.warning("no trained denoiser: the decoder sees exact latents only")
        return None
    unet, text_encoder = build_unet(), CLIPTextModel.from_pretrained(folder / text.FINAL)
    unet.load_state_dict(checkpoint.modules["unet_ema"])
    text_encoder.load_state_dict(checkpoint.modules["text_encoder_ema"])
    tokenizer, latents = CLIPTokenizer.from_pretrained(folder / bpe.FINAL), latent_cache.load(folder)
    scenes = corpus.training_scenes(len(latents))
    return guess(plan, unet, text_encoder, tokenizer=tokenizer, latents=latents, scenes=scenes)


def main() -> None:
    """Train to the last step and replace the saved autoencoder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=DecoderTraining().steps)
    options = parser.parse_args()
    parallel.start()
    folder = runtime_folder(options.runtime)
    sources = [corpus.load(folder, corpus.PEOPLE_FILE), corpus.load(folder, corpus.EXTRAS_FILE)]
    plan = DecoderTraining(steps=options.steps)
    autoencoder = AutoencoderKL.from_pretrained(folder / FINAL)
    trainer = DecoderTrainer(plan, sources, autoencoder, load_guesses(plan, folder))
    trainer.restore(folder / CHECKPOINT)
    preview = torch.cat([to_tensor(sources[0][:8].copy()), to_tensor(sources[1][:3].copy())]).to(trainer.device)

    def report() -> None:
        log.info("preview error %.2f", save_preview(trainer.vae, preview, folder / "decoder.png"))

    losses = (trainer.train_step() for _ in range(trainer.step, plan.steps))
    if run(trainer, losses, folder / CHECKPOINT, report):
        trainer.vae.cpu().to(memory_format=torch.contiguous_format).save_pretrained(folder / FINAL)


if __name__ == "__main__":
    main()
