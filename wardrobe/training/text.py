"""Warm up the text encoder: `python -m wardrobe.training.text`.

It learns to tell, at the end of a caption, every attribute the caption names. Learnt only through the denoiser this
takes thousands of steps, because which colour belongs to which garment must be found before any of it pays off.
Causal attention makes all padding positions see the whole caption, so any of them can answer.
"""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from wardrobe.training import tokenizer as bpe
from wardrobe.training.models import TEXT_WIDTH, build_text_encoder
from wardrobe.training.runtime import pick_device, runtime_folder, step_rng
from wardrobe.training.vae import VaeTraining, learning_rate
from wardrobe.world import attributes as words
from wardrobe.world.captions import sample_caption
from wardrobe.world.parsing import Said, parse_caption
from wardrobe.world.scene import Garment, Scene, scenes

log = logging.getLogger(__name__)

FINAL = "text_encoder"
KINDS: tuple[type[StrEnum], ...] = (
    words.Figure, words.HairColour, words.HairStyle, words.Skin, words.Pose, words.Background,
    words.TopKind, words.Colour, words.Pattern, words.BottomsKind, words.Colour, words.Pattern,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextTraining:
    """The plan of a run; scenes are drawn afresh for every caption."""

    steps: int = 1200
    batch: int = 64
    learning_rate: float = 1.5e-3
    warmup: int = 60
    seed: int = 51
    corpus: int = 20000


def targets(said: Said) -> list[int]:
    """Class numbers in the order of `KINDS`; the last class of each says: not named."""
    values: list[StrEnum | None] = [
        said.figure, said.hair_colour, said.hair_style, said.skin, said.pose, said.background,
        *_look(said.top),
        *_look(said.bottoms),
    ]  # fmt: skip
    return [len(kind) if value is None else list(kind).index(value) for kind, value in zip(KINDS, values, strict=True)]


def _look(garment: Garment | None) -> tuple[StrEnum | None, StrEnum | None, StrEnum | None]:
    return (None, None, None) if garment is None else (garment.kind, garment.colour, garment.pattern)


class TextTrainer:
    """Text encoder plus one linear head per attribute; the heads are thrown away afterwards."""

    def __init__(self, plan: TextTraining, encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.step = plan, 0
        self.device = pick_device()
        encoder.set_attn_implementation("eager")
        self.encoder = encoder.to(self.device)
        self.heads = nn.ModuleList([nn.Linear(TEXT_WIDTH, len(kind) + 1) for kind in KINDS]).to(self.device)
        weights = [*self.encoder.parameters(), *self.heads.parameters()]
        self.optimizer = torch.optim.AdamW(weights, lr=plan.learning_rate, betas=(0.9, 0.99), fused=True)
        self._weights = weights
        self._tokenizer = tokenizer
        self._scenes: Sequence[Scene] = list(islice(scenes(plan.seed, held_out=False), plan.corpus))

    def train_step(self) -> tuple[float, float]:
        """One update; returns the loss and the share of right answers."""
        plan = self.plan
        rng, _ = step_rng(plan.seed, self.step)
        rows = rng.integers(0, len(self._scenes), plan.batch)
        captions = [sample_caption(self._scenes[int(row)], rng) for row in rows]
        ids = bpe.encode(self._tokenizer, captions)
        labels = torch.tensor([targets(parse_caption(caption)) for caption in captions]).to(self.device)
        ends = (ids == self._tokenizer.eos_token_id).argmax(axis=1)
        place = torch.from_numpy(ends + (rng.random(plan.batch) * (ids.shape[1] - ends)).astype(np.int64))
        for group in self.optimizer.param_groups:
            schedule = VaeTraining(steps=plan.steps, warmup=plan.warmup, learning_rate=plan.learning_rate)
            group["lr"] = learning_rate(self.step, schedule)
        with torch.autocast(self.device.type, torch.bfloat16):
            states = self.encoder(torch.from_numpy(ids).to(self.device)).last_hidden_state
        states = states.float()[torch.arange(plan.batch), place.to(self.device)]
        scores = [head(states) for head in self.heads]
        loss = torch.stack([nn.functional.cross_entropy(score, labels[:, k]) for k, score in enumerate(scores)]).sum()
        right = torch.stack([score.argmax(1) == labels[:, k] for k, score in enumerate(scores)]).float().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._weights, 1.0)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach()), float(right)


def main() -> None:
    """Train to the last step and save the encoder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=TextTraining().steps)
    options = parser.parse_args()
    folder = runtime_folder(options.runtime)
    tokenizer = CLIPTokenizer.from_pretrained(folder / bpe.FINAL)
    trainer = TextTrainer(
        TextTraining(steps=options.steps), build_text_encoder(bpe.vocabulary_of(tokenizer)), tokenizer
    )
    while trainer.step < trainer.plan.steps:
        loss, right = trainer.train_step()
        if trainer.step % 25 == 0:
            log.info("step %d loss %.3f right %.3f", trainer.step, loss, right)
    trainer.encoder.cpu().save_pretrained(folder / FINAL)


if __name__ == "__main__":
    main()
