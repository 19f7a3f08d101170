"""Train the try-on denoiser on cached pairs; resumable, its learning rate falls towards a time of day.

v-prediction over both halves as in CatVTON: above the person in the new garment, below the garment itself. What the
person keeps counts little, since it is given. High noise counts more than in text-to-image training: the inputs
nearly decide the picture, so few steps are taken, and the first ones matter most.
"""

import copy
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import nn

from wardrobe.training import parallel
from wardrobe.training.checkpoints import Parts, Resumable, load_checkpoint
from wardrobe.training.runtime import follow, pick_device, step_rng
from wardrobe.training.tryon_cache import Half, PairLatents
from wardrobe.training.tryon_model import build_tryon_scheduler, build_tryon_unet, given_planes

CHECKPOINT = "tryon.pt"
_NO_KERNELS = ("conv_in.", "conv_out.", "time_embedding.")


@dataclass(frozen=True, slots=True)
class TryOnTraining:
    """The plan of a run."""

    batch: int = 16
    learning_rate: float = 1e-3  # of what Muon does not train
    muon_rate: float = 2e-2
    warmup: int = 100
    decay_minutes: float = 45.0  # a cosine to 1 % before the end
    ema_decay: float = 0.998
    no_garment: float = 0.1  # share of rows without a garment, for guidance
    kept_weight: float = 0.1  # of cells outside the mask, and of the garment's half
    noise_bias: float = 0.45  # below 1: more timesteps with much noise
    snr_cap: float = 5.0
    seed: int = 31
    compute_dtype: torch.dtype = torch.bfloat16


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch on the device: model inputs float32 [B, 17, 64, 32] and [B], and what v should be."""

    inputs: torch.Tensor
    timesteps: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


def rate(step: int, minutes_left: float, plan: TryOnTraining) -> float:
    """Of the full learning rates: warm-up by steps, constant, then a cosine by the minutes that are left."""
    warm = min(1.0, (step + 1) / plan.warmup)
    left = min(1.0, max(0.0, minutes_left / plan.decay_minutes))
    return warm * (0.01 + 0.99 * 0.5 * (1 - math.cos(math.pi * left)))


class TryOnTrainer(Resumable):
    """fp32 master weights, a low-precision copy that computes, and the EMA that will be exported."""

    def __init__(self, plan: TryOnTraining, unet: UNet2DConditionModel, pairs: PairLatents, garments: Half) -> None:
        self.plan = plan
        self.device = pick_device()
        self.master = unet.to(self.device)
        self.ema = copy.deepcopy(self.master).requires_grad_(False)
        self._compute = copy.deepcopy(self.master).to(dtype=plan.compute_dtype, memory_format=torch.channels_last)
        self._kernels = [
            _Kernel(parameter) for name, parameter in self.master.named_parameters() if _is_kernel(name, parameter)
        ]
        chosen = {id(kernel.parameter) for kernel in self._kernels}
        rest = [parameter for parameter in self.master.parameters() if id(parameter) not in chosen]
        self._optimizers = (
            torch.optim.Muon(
                [kernel.matrix for kernel in self._kernels],
                lr=plan.muon_rate,
                weight_decay=0.01,
                adjust_lr_fn="original",
            ),
            torch.optim.AdamW(rest, lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True),
        )
        self._pairs, self._garments = pairs, garments
        self._alphas = build_tryon_scheduler().alphas_cumprod

    def batch(self) -> Batch:
        """The batch of the current step."""
        plan, pairs = self.plan, self._pairs
        rng, noise = step_rng(plan.seed, self.step)
        size = plan.batch // parallel.world_size()
        rows = rng.integers(0, len(pairs), size)
        after, masked = (torch.from_numpy(kind[rows]).float() for kind in (pairs.after, pairs.masked))
        mask, area = (torch.from_numpy(kind[rows]).float()[:, None] for kind in (pairs.mask, pairs.area))
        garment = torch.from_numpy(self._garments[pairs.garment[rows]]).float()
        shown = torch.rand(size, 1, 1, 1, generator=noise) >= plan.no_garment
        clean = torch.cat([after, garment], dim=2)
        given = given_planes(mask, masked, garment * shown)
        eps = torch.randn(clean.shape, generator=noise)
        timesteps = self._timesteps(noise, size)
        signal = self._alphas[timesteps].sqrt()[:, None, None, None]
        sigma = (1 - self._alphas[timesteps]).sqrt()[:, None, None, None]
        snr = (signal / sigma) ** 2
        changed = torch.cat([(area > 0).float(), torch.zeros_like(area)], dim=2)
        weight = (plan.kept_weight + (1 - plan.kept_weight) * changed) * (snr + 1).clamp(max=plan.snr_cap) / (snr + 1)
        inputs = torch.cat([signal * clean + sigma * eps, given], dim=1)
        return Batch(
            inputs.to(self.device),
            timesteps.to(self.device),
            (signal * eps - sigma * clean).to(self.device),
            weight.to(self.device),
        )

    def train_step(self, minutes_left: float) -> float:
        """One update; returns the weighted loss."""
        batch = self.batch()
        inputs = batch.inputs.to(dtype=self.plan.compute_dtype, memory_format=torch.channels_last)
        output = self._compute(inputs, batch.timesteps, None).sample
        loss = (batch.weight * (output.float() - batch.target) ** 2).sum() / (batch.weight.sum() * output.shape[1])
        loss.backward()
        self._update(rate(self.step, minutes_left, self.plan))
        return float(loss.detach())

    def parts(self) -> Parts:
        """What a run needs to go on."""
        muon, adamw = self._optimizers
        return Parts({"unet": self.master, "unet_ema": self.ema}, {"muon": muon, "adamw": adamw})

    @torch.no_grad()
    def restored(self) -> None:
        """The copy that computes follows."""
        torch._foreach_copy_(list(self._compute.parameters()), list(self.master.parameters()))

    def _timesteps(self, noise: torch.Generator, size: int) -> torch.Tensor:
        """One timestep from each of `size` slices, narrower where there is much noise; int64 [size]."""
        count = len(self._alphas)
        position = (torch.arange(size) + torch.rand(size, generator=noise)) / size
        return (position**self.plan.noise_bias * count).long().clamp(max=count - 1)

    @torch.no_grad()
    def _update(self, share: float) -> None:
        masters: list[torch.Tensor] = list(self.master.parameters())
        for master, low in zip(masters, self._compute.parameters(), strict=True):
            master.grad = None if low.grad is None else low.grad.float().contiguous()
            low.grad = None
        parallel.average_gradients(masters)
        nn.utils.clip_grad_norm_(masters, 1.0)
        for kernel in self._kernels:
            kernel.take_gradient()
        for optimizer, full in zip(self._optimizers, (self.plan.muon_rate, self.plan.learning_rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = full * share
            optimizer.step()
        self.restored()
        follow(self.ema, self.master, self.step, self.plan.ema_decay)
        self.step += 1


class _Kernel:
    """A convolution's or a projection's weights as the matrix that Muon wants: outputs by everything else."""

    def __init__(self, parameter: torch.Tensor) -> None:
        self.parameter = parameter
        self.matrix = nn.Parameter(parameter.detach().view(len(parameter), -1))  # the same memory

    def take_gradient(self) -> None:
        gradient = self.parameter.grad
        self.matrix.grad = None if gradient is None else gradient.view_as(self.matrix)


def _is_kernel(name: str, parameter: torch.Tensor) -> bool:
    """Whether Muon trains it: not what reads and writes latents, nor what reads the time."""
    return parameter.dim() > 1 and not name.startswith(_NO_KERNELS) and "time_emb" not in name


def averaged_unet(runtime: Path) -> UNet2DConditionModel:
    """The EMA weights of the training. Raises FileNotFoundError before its first checkpoint."""
    checkpoint = load_checkpoint(runtime / CHECKPOINT)
    if checkpoint is None:
        raise FileNotFoundError(f"{runtime / CHECKPOINT}: run `python -m wardrobe.training.tryon` first")
    unet = build_tryon_unet()
    unet.load_state_dict(checkpoint.modules["unet_ema"])
    return unet
