"""Train try-on's denoiser and decoder together on the pictures that they draw, until a time of day; again to go on.

`python -m wardrobe.training.tryon_finish --until 17:25` after `tryon`. Latents are sampled from noise as serving does
it, for none or some of the steps; there the denoiser guesses the clean ones, the decoder draws them, and what lies in
the mask is held against the truth by structural similarity and error, as the decoder's own training did; and with
less weight the whole picture, for candidates are judged by their surroundings too. So each step learns to mend what
those before it leave. In some batches the picture so drawn is a draft that is gone over again, as premium's refine pass
does it. There it must also have as much texture as the truth, wherever its bars and dots lie: where the model is not
sure of their place, likeness alone asks for a blur. The encoder stays: latents keep their meaning.
"""

import argparse
import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from torch.nn import functional

from wardrobe.training import parallel
from wardrobe.training.checkpoints import Parts, Resumable, load_checkpoint
from wardrobe.training.clock import falling_rate, time_left
from wardrobe.training.loop import run
from wardrobe.training.runtime import follow, pick_device, runtime_folder, step_rng
from wardrobe.training.tryon import save_preview
from wardrobe.training.tryon_cache import FOLDER, Half, PairLatents, all_garments, load_shards
from wardrobe.training.tryon_model import LATENT_CHANNELS, build_tryon_scheduler, build_tryon_unet, given_planes
from wardrobe.training.tryon_sample import TryOnModel
from wardrobe.training.tryon_trainer import averaged_unet
from wardrobe.training.tryon_vae import trained_vae, unlikeness
from wardrobe.training.vae import to_tensor
from wardrobe.world.attributes import Pattern

log = logging.getLogger(__name__)

CHECKPOINT = "tryon_finish.pt"
FIRST = 999  # the timestep of noise alone
WEAVE = 13  # pixels square: the longest period of a pattern, so that it holds as much of one anywhere


def texture_error(pictures: torch.Tensor, truths: torch.Tensor) -> torch.Tensor:
    """How unlike the textures' strengths are, of float [B, 3, H, W] in -1..1, across and down.

    A texture's strength is the mean step from pixel to pixel over `WEAVE` pixels square: it says how much pattern there
    is, and in which direction, but not where its bars lie.
    """

    def strengths(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        across, down = values.diff(dim=3).abs(), values.diff(dim=2).abs()
        return functional.avg_pool2d(across, WEAVE, 1), functional.avg_pool2d(down, WEAVE, 1)

    pairs = zip(strengths(pictures), strengths(truths), strict=True)
    return torch.stack([(drawn - true).abs().mean() for drawn, true in pairs]).sum()


@dataclass(frozen=True, slots=True)
class Way:
    """How sampling arrives at what is learned from."""

    share: float
    """Of all batches."""
    timesteps: tuple[int, ...]
    """On the way; the last one is learned at."""
    from_draft: bool = False
    """Begin with a draft of one step under noise of the first timestep, not with noise alone."""


@dataclass(frozen=True, slots=True)
class TryOnFinish:
    """The plan of a run."""

    batch: int = 8
    learning_rate: float = 3e-4
    warmup: int = 50
    similarity: float = 0.5  # of the loss; the rest is mean absolute error times 4
    whole: float = 0.1
    """Weight of the whole picture's loss beside that of what is drawn anew."""
    texture: float = 3.0
    """Weight of the missing or added texture where a draft is gone over."""
    ways: tuple[Way, ...] = (
        Way(0.25, (FIRST,)),
        Way(0.1, (FIRST, 499)),
        Way(0.05, (FIRST, 749)),
        Way(0.1, (FIRST, 749, 499)),
        Way(0.2, (FIRST, 749, 499, 249)),
        Way(0.3, (249,), from_draft=True),
    )
    checked: float = 4.0
    """How much more often than others a checked garment is drawn: two patterns in one, it is learned last."""
    ema_decay: float = 0.995
    seed: int = 53


class _Models(nn.Module):
    """What is trained: the denoiser, and the autoencoder's second half."""

    def __init__(self, unet: UNet2DConditionModel, vae: AutoencoderKL) -> None:
        super().__init__()
        self.unet, self.decoder, self.post_quant_conv = unet, vae.decoder, vae.post_quant_conv


class TryOnFinisher(Resumable):
    """fp32 weights trained under autocast, and their EMA."""

    def __init__(
        self, plan: TryOnFinish, unet: UNet2DConditionModel, vae: AutoencoderKL, pairs: PairLatents, garments: Half
    ) -> None:
        self.plan = plan
        self.device = pick_device()
        self.scaling = float(vae.config.scaling_factor)
        self.vae = vae.to(self.device)
        self.models = _Models(unet, vae).to(self.device)
        self.models.requires_grad_(requires_grad=True)
        self.ema = copy.deepcopy(self.models)
        self.ema.requires_grad_(requires_grad=False)
        self.optimizer = torch.optim.AdamW(
            self.models.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self._pairs, self._garments = pairs, garments
        often = np.array([plan.checked if garment.pattern is Pattern.CHECKED else 1.0 for garment in all_garments()])
        self._chances = often[pairs.garment] / often[pairs.garment].sum()
        self._alphas = build_tryon_scheduler().alphas_cumprod.to(self.device)

    def train_step(self, share_left: float) -> float:
        """One update with `share_left`, 0..1, of the run to go; returns the loss."""
        plan, pairs = self.plan, self._pairs
        rng, noise = step_rng(plan.seed, self.step)
        # Every process goes as far: else all would wait for the one with the longest way.
        shares = [way.share for way in plan.ways]
        way = plan.ways[int(np.random.default_rng([plan.seed, self.step]).choice(len(shares), p=shares))]
        rows = rng.choice(len(pairs), plan.batch // parallel.world_size(), p=self._chances)
        given = self._given(rows)
        truths = to_tensor(pairs.pictures[rows]).to(self.device)
        drawn_anew = torch.from_numpy(np.unpackbits(pairs.pixel_masks[rows], axis=-1)).bool()[:, None].to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = falling_rate(self.step, share_left, plan.learning_rate, plan.warmup)
        shape = (len(rows), LATENT_CHANNELS, *given.shape[2:])
        latents, more = (torch.randn(shape, generator=noise).to(self.device) for _ in range(2))
        with torch.autocast(self.device.type, torch.bfloat16):
            if way.from_draft:
                latents = self.drafted(latents, given, more, way.timesteps[0])
            pictures = self._decoded(self.denoised(latents, given, way.timesteps))
        inside = unlikeness(torch.where(drawn_anew, pictures, truths), truths, plan.similarity)
        if way.from_draft:
            inside = inside + plan.texture * texture_error(torch.where(drawn_anew, pictures, truths), truths)
        loss = inside / drawn_anew.float().mean() + plan.whole * unlikeness(pictures, truths, plan.similarity)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        parallel.average_gradients(self.models.parameters())
        nn.utils.clip_grad_norm_(self.models.parameters(), 1.0)
        self.optimizer.step()
        follow(self.ema, self.models, self.step, plan.ema_decay)
        self.step += 1
        return float(loss.detach())

    def denoised(self, latents: torch.Tensor, given: torch.Tensor, timesteps: Sequence[int]) -> torch.Tensor:
        """Clean latents [B, 8, 64, 32] as guessed at the end of a way that begins at `latents`; learned at the end."""
        with torch.no_grad():
            for level, following in pairwise(timesteps):
                clean, noise = self._guess(latents, given, level)
                latents = self._alphas[following].sqrt() * clean + (1 - self._alphas[following]).sqrt() * noise
        return self._guess(latents, given, timesteps[-1])[0]

    @torch.no_grad()
    def drafted(self, latents: torch.Tensor, given: torch.Tensor, noise: torch.Tensor, level: int) -> torch.Tensor:
        """What the refine pass begins with [B, 8, 64, 32]: a picture of one step beside the garment, under noise."""
        pictures = self._decoded(self.denoised(latents, given, (FIRST,))).clamp(-1, 1)
        person = self.vae.encode(pictures).latent_dist.mode().float() * self.scaling
        clean = torch.cat([person, given[:, -LATENT_CHANNELS:].chunk(2, dim=2)[1]], dim=2)
        alpha = self._alphas[level]
        started: torch.Tensor = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        return started

    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        """The person's half as pictures float32 [B, 3, 128, 128] in about -1..1."""
        person = latents.chunk(2, dim=2)[0] / self.scaling
        pictures: torch.Tensor = self.models.decoder(self.models.post_quant_conv(person)).float()
        return pictures

    def _given(self, rows: npt.NDArray[np.int64]) -> torch.Tensor:
        """Mask, masked person and garment [B, 9, 64, 32]."""
        pairs = self._pairs
        mask, masked, garment = (
            torch.from_numpy(kind).float()
            for kind in (pairs.mask[rows, None], pairs.masked[rows], self._garments[pairs.garment[rows]])
        )
        return given_planes(mask, masked, garment).to(self.device)

    def _guess(self, latents: torch.Tensor, given: torch.Tensor, level: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What is clean and what is noise in [B, 8, 64, 32]."""
        inputs = torch.cat([latents, given], dim=1).contiguous(memory_format=torch.channels_last)
        velocity = self.models.unet(inputs, torch.tensor(level, device=self.device), None).sample.float()
        signal, sigma = self._alphas[level].sqrt(), (1 - self._alphas[level]).sqrt()
        return signal * latents - sigma * velocity, sigma * latents + signal * velocity

    def parts(self) -> Parts:
        """What a run needs to go on."""
        return Parts({"models": self.models, "ema": self.ema}, {"models": self.optimizer})


def finished(folder: Path) -> TryOnModel:
    """The averaged models. Raises FileNotFoundError before the first checkpoint."""
    checkpoint = load_checkpoint(folder / CHECKPOINT)
    if checkpoint is None:
        raise FileNotFoundError(f"{folder / CHECKPOINT}: run `python -m wardrobe.training.tryon_finish` first")
    unet, vae = build_tryon_unet(), trained_vae(folder)
    _Models(unet, vae).load_state_dict(checkpoint.modules["ema"])
    return TryOnModel(unet.eval(), vae.eval())


def main() -> None:
    """Train to the end, with checkpoints and previews on the way."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--until", required=True, help="HH:MM of this machine's clock")
    options = parser.parse_args()
    parallel.start()
    folder = runtime_folder(options.runtime)
    pairs, garments = load_shards(folder / FOLDER), np.load(folder / FOLDER / "garments.npy")
    finisher = TryOnFinisher(TryOnFinish(), averaged_unet(folder), trained_vae(folder), pairs, garments)
    finisher.restore(folder / CHECKPOINT)

    def report() -> None:
        save_preview(finished(folder), folder / f"tryon-finish-{finisher.step:06d}.png")

    losses = (finisher.train_step(left.share) for left in time_left(options.until))
    run(finisher, losses, folder / CHECKPOINT, report)


if __name__ == "__main__":
    main()
