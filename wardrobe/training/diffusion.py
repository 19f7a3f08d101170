"""Train denoiser and (warmed-up) text encoder together on cached latents; resumable.

v-prediction, steps with little noise weighted down, 10 % empty captions for guidance, EMA weights, and a learning
rate that stays constant and then decays, so the end of a run can be moved while it is running.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from wardrobe.training import parallel
from wardrobe.training import tokenizer as bpe
from wardrobe.training.checkpoints import Parts, Resumable
from wardrobe.training.latents import Latents
from wardrobe.training.models import build_scheduler
from wardrobe.training.runtime import follow, pick_device, step_rng
from wardrobe.world.captions import sample_caption
from wardrobe.world.scene import Scene

CHECKPOINT = "diffusion.pt"


@dataclass(frozen=True, slots=True)
class DiffusionTraining:
    """The plan of a run."""

    steps: int = 9000
    batch: int = 32
    learning_rate: float = 1e-3
    text_share: float = 0.1  # of the learning rate: the text encoder comes warmed up
    warmup: int = 150
    decay_share: float = 0.45  # of all steps, at the end
    ema_decay: float = 0.998
    empty_captions: float = 0.1
    snr_cap: float = 5.0
    seed: int = 21
    compute_dtype: torch.dtype = torch.bfloat16


def learning_rate(step: int, plan: DiffusionTraining) -> float:
    """Warm-up, constant, then a cosine to 1 % over the last `decay_share`."""
    if step < plan.warmup:
        return plan.learning_rate * (step + 1) / plan.warmup
    start = plan.steps * (1 - plan.decay_share)
    done = min(1.0, max(0.0, (step - start) / max(1.0, plan.steps - start)))
    return plan.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def stratified_timesteps(batch: int, count: int, noise: torch.Generator) -> torch.Tensor:
    """One timestep from each of `batch` equal slices, int64 [batch]: less variance than independent ones."""
    position = (torch.arange(batch) + torch.rand(batch, generator=noise)) / batch
    return (position * count).long().clamp(max=count - 1)


class DiffusionTrainer(Resumable):
    """fp32 master weights, a low-precision copy that computes, and the EMA that will be exported."""

    def __init__(
        self,
        plan: DiffusionTraining,
        unet: UNet2DConditionModel,
        text_encoder: CLIPTextModel,
        *,
        tokenizer: CLIPTokenizer,
        latents: Latents,
        scenes: Sequence[Scene],
    ) -> None:
        if len(latents) != len(scenes):
            raise ValueError(f"{len(latents)} latents for {len(scenes)} scenes: the cache belongs to another corpus")
        self.plan = plan
        self.device = pick_device()
        self.master = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder}).to(self.device)
        # plain matrix products: on CPUs the fused attention kernel is several times slower at these small sizes
        unet.set_attn_processor(AttnProcessor())
        text_encoder.set_attn_implementation("eager")
        unet.to(memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.master).requires_grad_(False)
        self._compute = copy.deepcopy(self.master).to(plan.compute_dtype)
        groups = [{"params": list(unet.parameters())}, {"params": list(text_encoder.parameters())}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
        )
        self._tokenizer, self._latents, self._scenes = tokenizer, latents, scenes
        self._alphas = build_scheduler().alphas_cumprod

    def train_step(self) -> float:
        """One update; returns the weighted loss."""
        plan = self.plan
        rng, noise = step_rng(plan.seed, self.step)
        batch = max(1, plan.batch // parallel.world_size())
        rows = rng.integers(0, len(self._latents), batch)
        captions = [
            "" if rng.random() < plan.empty_captions else sample_caption(self._scenes[int(row)], rng) for row in rows
        ]
        clean = torch.from_numpy(self._latents[rows]).float()
        timesteps = stratified_timesteps(batch, len(self._alphas), noise)
        eps = torch.randn(clean.shape, generator=noise)
        signal = self._alphas[timesteps].sqrt()[:, None, None, None]
        sigma = (1 - self._alphas[timesteps]).sqrt()[:, None, None, None]
        snr = (signal / sigma) ** 2
        # min-SNR of v proper is min(snr, cap) / (snr + 1): almost 0 at high noise, where the caption decides the
        # picture. Capping snr + 1 instead keeps full weight there and still spares steps with hardly any noise.
        weight = ((snr + 1).clamp(max=plan.snr_cap) / (snr + 1)).to(self.device)
        noisy, target = signal * clean + sigma * eps, (signal * eps - sigma * clean).to(self.device)
        ids = torch.from_numpy(bpe.encode(self._tokenizer, captions)).to(self.device)

        text = self._compute["text_encoder"](ids).last_hidden_state
        noisy = noisy.to(self.device, plan.compute_dtype, memory_format=torch.channels_last)
        output = self._compute["unet"](noisy, timesteps.to(self.device), text).sample
        loss = (weight * (output.float() - target) ** 2).mean()
        loss.backward()
        self._update()
        return float(loss.detach())

    @torch.no_grad()
    def _update(self) -> None:
        rate = learning_rate(self.step, self.plan)
        for group, share in zip(self.optimizer.param_groups, (1.0, self.plan.text_share), strict=True):
            group["lr"] = rate * share
        computed: list[torch.Tensor] = list(self._compute.parameters())
        masters: list[torch.Tensor] = list(self.master.parameters())
        parallel.average_gradients(computed)
        for master, low in zip(masters, computed, strict=True):
            master.grad = None if low.grad is None else low.grad.float()
            low.grad = None
        nn.utils.clip_grad_norm_(masters, 1.0)
        self.optimizer.step()
        torch._foreach_copy_(computed, masters)
        follow(self.ema, self.master, self.step, self.plan.ema_decay)
        self.step += 1

    def parts(self) -> Parts:
        """What a run needs to go on."""
        kept = {name: self.master[name] for name in ("unet", "text_encoder")}
        averaged = {f"{name}_ema": self.ema[name] for name in kept}
        return Parts(kept | averaged, {"adamw": self.optimizer})

    @torch.no_grad()
    def restored(self) -> None:
        """The copy that computes follows."""
        torch._foreach_copy_(list(self._compute.parameters()), list(self.master.parameters()))
