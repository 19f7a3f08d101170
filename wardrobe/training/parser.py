"""Train the parser: `python -m wardrobe.training.parser`."""

import argparse
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from wardrobe.training import parser_corpus
from wardrobe.training.checkpoints import Parts, Resumable
from wardrobe.training.loop import run
from wardrobe.training.parser_corpus import ParserCorpus
from wardrobe.training.parser_net import ParserNet
from wardrobe.training.parser_samples import draw_sample, heatmaps, place, spoil
from wardrobe.training.runtime import pick_device, runtime_folder, step_rng
from wardrobe.training.vae import to_tensor
from wardrobe.world.canvas import SIZE

CHECKPOINT = "parser.pt"
SIZES = (64, 96, 128, 192, 256)
SIZE_SHARES = (0.07, 0.13, 0.5, 0.18, 0.12)
LAST_SIZE_SHARES = (0.02, 0.05, 0.76, 0.08, 0.09)
PEAK_WEIGHT = 30.0  # cells with a keypoint are one in a thousand


@dataclass(frozen=True, slots=True)
class ParserTraining:
    """The plan of a run. `batch` is in pictures of 128x128; larger ones are fewer."""

    steps: int = 4250
    last_steps: int = 650  # which see pictures mostly as they are, and care most for where parts meet
    batch: int = 8
    learning_rate: float = 3e-3
    last_learning_rate: float = 1.2e-3
    edge_weight: float = 3.0  # on top of 1, in the last steps
    warmup: int = 60
    heatmap_weight: float = 2.0
    seed: int = 53


@dataclass(frozen=True, slots=True)
class Batch:
    """images: float32 [B, 3, H, W] in -1..1; labels: int64 [B, H, W]; heatmaps: float32 [B, K, H / 4, W / 4]."""

    images: torch.Tensor
    labels: torch.Tensor
    heatmaps: torch.Tensor


def learning_rate(step: int, plan: ParserTraining) -> float:
    """Warm-up, then cosine to 0.2 %, and for the last steps once more from lower down."""
    if step < plan.warmup:
        return plan.learning_rate * (step + 1) / plan.warmup
    first = plan.steps - plan.last_steps
    if step < first:
        top, done = plan.learning_rate, step / first
    else:
        top, done = plan.last_learning_rate, min(1.0, (step - first) / plan.last_steps)
    return top * (0.002 + 0.998 * 0.5 * (1 + math.cos(math.pi * done)))


def edges(labels: torch.Tensor) -> torch.Tensor:
    """1 where another label is next to a pixel, else 0; int64 [B, H, W] -> float32."""
    values = labels.float().unsqueeze(1)
    highest = functional.max_pool2d(values, 3, 1, 1)
    lowest = -functional.max_pool2d(-values, 3, 1, 1)
    return (highest != lowest).float().squeeze(1)


def sample_batch(corpus: ParserCorpus, plan: ParserTraining, rng: np.random.Generator, *, last: bool) -> Batch:
    """Pictures of one size; `last`: mostly as they are."""
    size = int(rng.choice(SIZES, p=LAST_SIZE_SHARES if last else SIZE_SHARES))
    count = max(2, round(plan.batch * (SIZE / size) ** 2))
    exact = 0.65 if last else 0.3
    samples = [place(draw_sample(corpus, rng), size, rng, exact) for _ in range(count)]
    spoilt = [sample.image if last and rng.random() < 0.4 else spoil(sample.image, rng) for sample in samples]
    return Batch(
        to_tensor(np.stack(spoilt)),
        torch.from_numpy(np.stack([sample.labels for sample in samples]).astype(np.int64)),
        torch.from_numpy(np.stack([heatmaps(sample.keypoints, size) for sample in samples])),
    )


class ParserTrainer(Resumable):
    """One network, one optimizer, one step at a time."""

    def __init__(self, plan: ParserTraining, corpus: ParserCorpus) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.device = pick_device()
        net = ParserNet().to(self.device)
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=plan.learning_rate, weight_decay=0.01, fused=True)
        self._corpus = corpus

    def train_step(self) -> float:
        """One update; returns the sum of both losses."""
        rng, _ = step_rng(self.plan.seed, self.step)
        last = self.step >= self.plan.steps - self.plan.last_steps
        batch = sample_batch(self._corpus, self.plan, rng, last=last)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.plan)
        self.net.train()
        with torch.autocast(self.device.type, torch.bfloat16):
            scores, maps = self.net(batch.images.to(self.device))
        targets = batch.heatmaps.to(self.device)
        labels = batch.labels.to(self.device)
        weights = 1 + (self.plan.edge_weight if last else 0.0) * edges(labels)
        marking = (functional.cross_entropy(scores.float(), labels, reduction="none") * weights).sum() / weights.sum()
        finding = functional.binary_cross_entropy_with_logits(maps.float(), targets, 1 + PEAK_WEIGHT * targets)
        loss = marking + self.plan.heatmap_weight * finding
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def parts(self) -> Parts:
        """What a run needs to go on."""
        return Parts({"net": self.net}, {"net": self.optimizer})


def main() -> None:
    """Train to the last step; `wardrobe.training.parser_export` writes the weights."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=ParserTraining().steps)
    options = parser.parse_args()
    folder = runtime_folder(options.runtime)
    trainer = ParserTrainer(ParserTraining(steps=options.steps), parser_corpus.load(folder))
    trainer.restore(folder / CHECKPOINT)
    run(trainer, (trainer.train_step() for _ in range(trainer.step, trainer.plan.steps)), folder / CHECKPOINT)


if __name__ == "__main__":
    main()
