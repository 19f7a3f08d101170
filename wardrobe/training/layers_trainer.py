"""Train the layered denoiser on cached latents; resumable, its learning rate falls towards a time of day.

Flow matching over all frames as in Qwen-Image-Layered: the picture again, then the sheets, while the picture itself
stands by as a condition. Since it nearly decides the sheets, noise levels near 1 are drawn more often: few steps are
taken, and the first ones matter most.
"""

import copy
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn.functional import pixel_unshuffle
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

from engine.modules.qwen_image_transformer import Transformer
from wardrobe.training import layers_text, parallel
from wardrobe.training.checkpoints import Parts, Resumable
from wardrobe.training.layers_cache import SheetLatents
from wardrobe.training.layers_models import build_text_encoder, build_transformer
from wardrobe.training.layers_positions import Rotations, rotations
from wardrobe.training.runtime import follow, pick_device, step_rng
from wardrobe.world.sheets import FINEST

CHECKPOINT = "layers.pt"


def _counts() -> dict[int, float]:
    return {2: 0.07, 3: 0.07, 4: 0.13, 5: 0.55, 6: 0.12, 8: 0.03, 10: 0.03}


@dataclass(frozen=True, slots=True)
class LayersTraining:
    """The plan of a run."""

    batch: int = 16
    learning_rate: float = 1e-3  # of what Muon does not train
    muon_rate: float = 2e-2
    warmup: int = 100
    decay_minutes: float = 30.0
    ema_decay: float = 0.998
    said: float = 0.4  # share of batches with captions
    counts: dict[int, float] = field(default_factory=_counts)
    """How often each number of sheets is asked for."""
    picture_weight: float = 0.2  # of frame 0, which nobody is handed
    empty_weight: float = 0.3  # of cells like those of an empty sheet
    noise_bias: float = 0.4  # below 1: more levels with much noise
    seed: int = 43
    compute_dtype: torch.dtype = torch.bfloat16


class LayersNet(nn.Module):
    """The denoiser and the text encoder that learns beside it."""

    def __init__(self, text_encoder: Qwen2_5_VLForConditionalGeneration) -> None:
        super().__init__()
        transformer = build_transformer()
        self.denoiser = Transformer(transformer)
        self.text = text_encoder.model.language_model

    def forward(
        self, tokens: torch.Tensor, sigma: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor, turned: Rotations
    ) -> torch.Tensor:
        """Frames and then the picture [B, S, 64] -> velocity [B, S, 64]; `sigma` [B] 0 to 1."""
        hidden = self.text(input_ids=ids, use_cache=False).last_hidden_state[:, layers_text.INSTRUCTION :]
        seen = mask[:, layers_text.INSTRUCTION :]
        no_rgb = torch.zeros(len(tokens), dtype=torch.int64, device=tokens.device)
        context = hidden * seen.unsqueeze(-1)
        velocity: torch.Tensor = self.denoiser(
            tokens, sigma, context, seen, turned.image_cos, turned.image_sin, turned.text_cos, turned.text_sin, no_rgb
        )
        return velocity


class LayersTrainer(Resumable):
    """fp32 master weights, a low-precision copy that computes, and the EMA that will be exported."""

    def __init__(
        self,
        plan: LayersTraining,
        latents: SheetLatents,
        captions: list[str],
        empty: torch.Tensor,
        tokenizer: Qwen2Tokenizer,
    ) -> None:
        """`captions`: one a scene. `empty` [16, 16, 16]: latents of a sheet that shows nothing."""
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.device = pick_device()
        self.tokenizer = tokenizer
        self.text_encoder = build_text_encoder(self.tokenizer)
        self.master = LayersNet(self.text_encoder).to(self.device)
        self.ema = copy.deepcopy(self.master).requires_grad_(requires_grad=False)
        self._compute = copy.deepcopy(self.master).to(plan.compute_dtype)
        self._optimizers = _optimizers(self.master, plan)
        self._latents, self._captions = latents, captions
        self.mean, self.std = latents.statistics()
        self._empty = self.tokens(empty[None])[0].to(self.device)

    def tokens(self, latents: torch.Tensor) -> torch.Tensor:
        """Means [B, 16, 16, 16] of the autoencoder as normalised tokens [B, 64, 64]."""
        normalised = (latents.float() - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)
        return pixel_unshuffle(normalised, 2).flatten(2).transpose(1, 2)

    def train_step(self, minutes_left: float) -> float:
        """One update; returns the weighted loss."""
        plan = self.plan
        rng, noise = step_rng(plan.seed, self.step)
        # Every process asks for as many: else all would wait for the one with the most.
        counts, shares = zip(*plan.counts.items(), strict=True)
        count = int(np.random.default_rng([plan.seed, self.step]).choice(counts, p=shares))
        size = plan.batch // parallel.world_size()
        clean, picture, captions = self._draw(rng, count, size)
        weight = self._weight(clean)
        eps = torch.randn(clean.shape, generator=noise).to(self.device)
        sigma = self._sigma(noise, size).to(self.device)
        noisy = (1 - sigma[:, None, None]) * clean + sigma[:, None, None] * eps
        ids, mask = (torch.from_numpy(part).to(self.device) for part in layers_text.encode(self.tokenizer, captions))
        inputs = torch.cat([noisy, picture], dim=1).to(plan.compute_dtype)
        turned = rotations(8, 8, count + 1, ids.shape[1] - layers_text.INSTRUCTION, size).to(self.device)
        velocity = self._compute(inputs, sigma.to(plan.compute_dtype), ids, mask, turned)[:, : clean.shape[1]]
        error = (velocity.float() - (eps - clean)) ** 2
        loss = (error.mean(-1) * weight).sum() / weight.sum()
        loss.backward()
        self._update(minutes_left)
        return float(loss.detach())

    def _draw(self, rng: np.random.Generator, count: int, size: int) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        """Frames [B, (count + 1) * 64, 64], pictures [B, 64, 64] and captions."""
        frames = self._latents.frames(min(count, len(FINEST)))
        rows = rng.integers(0, min(map(len, frames)), size)
        picture = self.tokens(torch.from_numpy(self._latents.picture[rows])).to(self.device)
        sheets = [self.tokens(torch.from_numpy(kind[rows])).to(self.device) for kind in frames]
        sheets += [self._empty.expand_as(picture)] * (count - len(sheets))
        said = rng.random() < self.plan.said  # all or none: without captions, texts are short
        captions = [self._captions[row] if said else "" for row in rows]
        return torch.cat([picture, *sheets], dim=1), picture, captions

    def _weight(self, clean: torch.Tensor) -> torch.Tensor:
        """[B, S]: less for the picture and for cells that are empty, which is most of them."""
        cells = self._empty.shape[0]
        away = (clean - self._empty.repeat(clean.shape[1] // cells, 1)).abs().mean(-1)
        weight = torch.where(away < 0.05, self.plan.empty_weight, 1.0)
        weight[:, :cells] = self.plan.picture_weight
        return weight

    def _sigma(self, noise: torch.Generator, size: int) -> torch.Tensor:
        """One noise level from each of `size` slices, narrower where there is much noise."""
        position = (torch.arange(size) + torch.rand(size, generator=noise)) / size
        return position**self.plan.noise_bias

    def parts(self) -> Parts:
        """What a run needs to go on."""
        muon, adamw = self._optimizers
        return Parts({"net": self.master, "ema": self.ema}, {"muon": muon, "adamw": adamw})

    @torch.no_grad()
    def restored(self) -> None:
        """The copy that computes follows."""
        torch._foreach_copy_(list(self._compute.parameters()), list(self.master.parameters()))

    @torch.no_grad()
    def _update(self, minutes_left: float) -> None:
        plan = self.plan
        warm = min(1.0, (self.step + 1) / plan.warmup)
        left = min(1.0, max(0.0, minutes_left / plan.decay_minutes))
        rate = warm * (0.01 + 0.99 * 0.5 * (1 - math.cos(math.pi * left)))
        masters: list[torch.Tensor] = list(self.master.parameters())
        for master, low in zip(masters, self._compute.parameters(), strict=True):
            master.grad = None if low.grad is None else low.grad.float()
            low.grad = None
        parallel.average_gradients(masters)
        nn.utils.clip_grad_norm_(masters, 1.0)
        for optimizer, full in zip(self._optimizers, (plan.muon_rate, plan.learning_rate), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = full * rate
            optimizer.step()
        self.restored()
        follow(self.ema, self.master, self.step, plan.ema_decay)
        self.step += 1


def _optimizers(net: LayersNet, plan: LayersTraining) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon for the blocks' matrices, which it trains in far fewer steps; AdamW for the rest."""
    blocks = [
        parameter
        for name, parameter in net.named_parameters()
        if "transformer_blocks" in name and parameter.dim() == 2 and "_mod." not in name
    ]
    chosen = {id(parameter) for parameter in blocks}
    rest = [parameter for parameter in net.parameters() if id(parameter) not in chosen]
    return (
        torch.optim.Muon(blocks, lr=plan.muon_rate, weight_decay=0.01, adjust_lr_fn="original"),
        torch.optim.AdamW(rest, lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True),
    )
