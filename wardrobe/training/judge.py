"""Train the judge on augmented renders: `python -m wardrobe.training.judge`."""

import argparse
import io
import json
import logging
import math
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageFilter
from torch.nn import functional

from wardrobe.judge.judge import CARD_FILE, WEIGHTS, Judge, JudgeNet, accuracies
from wardrobe.judge.reading import reading_of, to_classes
from wardrobe.training import corpus
from wardrobe.training.checkpoints import Parts, Resumable
from wardrobe.training.loop import run
from wardrobe.training.runtime import pick_device, runtime_folder, step_rng
from wardrobe.training.vae import reconstruct, to_tensor
from wardrobe.world.canvas import Pixels
from wardrobe.world.render import render
from wardrobe.world.scene import scenes

log = logging.getLogger(__name__)

CHECKPOINT = "judge.pt"
TEST_SEED = 77
TEST_PICTURES = 600


@dataclass(frozen=True, slots=True)
class JudgeTraining:
    """The plan of a run."""

    steps: int = 1800
    batch: int = 48
    learning_rate: float = 2e-3
    warmup: int = 50
    seed: int = 31


def augment(image: Pixels, rng: np.random.Generator) -> Pixels:
    """What generated or transported pictures suffer: shift, blur, noise, JPEG, a little colour drift."""
    shift = tuple(int(v) for v in rng.integers(-4, 5, 2))
    pixels = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="edge")
    pixels = pixels[4 + shift[0] : 132 + shift[0], 4 + shift[1] : 132 + shift[1]]
    if rng.random() < 0.35:
        blur = ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.3)))
        pixels = np.asarray(Image.fromarray(pixels).filter(blur))
    if rng.random() < 0.15:
        packed = io.BytesIO()
        Image.fromarray(pixels).save(packed, "JPEG", quality=int(rng.integers(35, 90)))
        pixels = np.asarray(Image.open(packed))
    gain = rng.uniform(0.93, 1.07, 3).astype(np.float32)
    changed = pixels.astype(np.float32) * gain + float(rng.uniform(-8, 8))
    if rng.random() < 0.4:
        changed += rng.standard_normal(changed.shape, dtype=np.float32) * float(rng.uniform(1, 9))
    return changed.clip(0, 255).astype(np.uint8)


def learning_rate(step: int, plan: JudgeTraining) -> float:
    """Warm-up, then cosine to 1 %."""
    if step < plan.warmup:
        return plan.learning_rate * (step + 1) / plan.warmup
    return plan.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / plan.steps)))


class JudgeTrainer(Resumable):
    """labels: int64 [N, heads], one row per picture."""

    def __init__(self, plan: JudgeTraining, pictures: Pixels, labels: torch.Tensor) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.device = pick_device()
        net = JudgeNet().to(self.device)
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=plan.learning_rate, weight_decay=0.01, fused=True)
        self._pictures, self._labels = pictures, labels

    def train_step(self) -> float:
        """One update; returns the sum of the losses of all heads."""
        rng, _ = step_rng(self.plan.seed, self.step)
        rows = rng.integers(0, len(self._pictures), self.plan.batch)
        images = to_tensor(np.stack([augment(self._pictures[row], rng) for row in rows])).to(self.device)
        labels = self._labels[torch.from_numpy(rows)].to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.plan)
        self.net.train()
        with torch.autocast(self.device.type, torch.bfloat16):
            scores = self.net(images)
        loss = torch.stack(
            [functional.cross_entropy(score.float(), labels[:, k]) for k, score in enumerate(scores)]
        ).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def parts(self) -> Parts:
        """What a run needs to go on."""
        return Parts({"net": self.net}, {"net": self.optimizer})


def write_card(judge: Judge, runtime: Path, output: Path) -> None:
    """Measure on held-out renders, as they are and through the autoencoder, and write the result beside the weights."""
    truth = list(islice(scenes(TEST_SEED, held_out=True), TEST_PICTURES))
    pictures = np.stack([render(scene).image for scene in truth])
    answers = [reading_of(scene) for scene in truth]
    card: dict[str, object] = {"pictures": TEST_PICTURES, "held_out_renders": accuracies(judge.read(pictures), answers)}
    if (runtime / "vae").exists():
        decoded = reconstruct(AutoencoderKL.from_pretrained(runtime / "vae"), pictures)
        card["held_out_reconstructions"] = accuracies(judge.read(decoded), answers)
    (output / CARD_FILE).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    log.info("%s", json.dumps(card))


def main() -> None:
    """Train to the end, save the judge and measure it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--steps", type=int, default=JudgeTraining().steps)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    folder = runtime_folder(options.runtime)
    pictures = corpus.load(folder, corpus.PEOPLE_FILE)
    labels = torch.tensor([to_classes(reading_of(scene)) for scene in corpus.training_scenes(len(pictures))])
    trainer = JudgeTrainer(JudgeTraining(steps=options.steps), pictures, labels)
    trainer.restore(folder / CHECKPOINT)
    run(trainer, (trainer.train_step() for _ in range(trainer.step, trainer.plan.steps)), folder / CHECKPOINT)
    judge = Judge(trainer.net.cpu().to(memory_format=torch.contiguous_format))
    judge.save(options.output)
    write_card(Judge.load(options.output), folder, options.output)


if __name__ == "__main__":
    main()
