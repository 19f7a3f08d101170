"""Measure exported weights: `python -m wardrobe.evaluation --sampler unipc --steps 8 --guidance 3`."""

import argparse
import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from wardrobe.evaluation.captions import HeldOut, heldout_captions
from wardrobe.evaluation.samplers import SAMPLERS
from wardrobe.evaluation.score import Scores, score
from wardrobe.evaluation.sheet import contact_sheet
from wardrobe.judge import Judge, reading_of
from wardrobe.judge.judge import WEIGHTS as JUDGE_WEIGHTS

log = logging.getLogger(__name__)

WEIGHTS = Path(__file__).parents[1] / "weights" / "wardrobe"
BATCH = 10
SHEET_PICTURES = 24


@dataclass(frozen=True, slots=True)
class Setting:
    """How pictures are drawn. `spacing` None keeps the exported timestep spacing."""

    sampler: str
    steps: int
    guidance: float
    spacing: str | None = None

    @property
    def name(self) -> str:
        """Readable and usable in file names."""
        return f"{self.sampler}-{self.steps}-g{self.guidance:g}" + (f"-{self.spacing}" if self.spacing else "")


def draw(pipeline: StableDiffusionPipeline, setting: Setting, items: tuple[HeldOut, ...]) -> list[Image.Image]:
    """All captions in batches; each picture's noise depends on its own number only."""
    config = dict(pipeline.scheduler.config)
    if setting.spacing:
        config["timestep_spacing"] = setting.spacing
    previous, pipeline.scheduler = pipeline.scheduler, SAMPLERS[setting.sampler](config)
    pictures: list[Image.Image] = []
    for start in range(0, len(items), BATCH):
        rows = range(start, min(start + BATCH, len(items)))
        generators = [torch.Generator().manual_seed(row) for row in rows]
        result = pipeline(
            [items[row].caption for row in rows],
            num_inference_steps=setting.steps,
            guidance_scale=setting.guidance,
            generator=generators,
        )
        pictures += result.images
    pipeline.scheduler = previous
    return pictures


def measure(
    pipeline: StableDiffusionPipeline, judge: Judge, setting: Setting, items: tuple[HeldOut, ...], sheets: Path | None
) -> Scores:
    """Draw, read back, score, log; with `sheets`, also save a contact sheet."""
    started = time.monotonic()
    pictures = draw(pipeline, setting, items)
    seconds = (time.monotonic() - started) / len(items)
    readings = judge.read(np.stack([np.asarray(picture) for picture in pictures]))
    scores = score(readings, [reading_of(item.scene) for item in items])
    log.info(
        "%s: %.2f s a picture, bar %s, %s", setting.name, seconds, scores.meets_the_bar, json.dumps(asdict(scores))
    )
    if sheets is not None:
        sheets.mkdir(parents=True, exist_ok=True)
        shown = [item.caption for item in items[:SHEET_PICTURES]]
        contact_sheet(pictures[:SHEET_PICTURES], shown).save(sheets / f"{setting.name}.png")
    return scores


def main() -> None:
    """Measure every combination of the given settings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--judge", type=Path, default=JUDGE_WEIGHTS)
    parser.add_argument("--sampler", nargs="+", choices=sorted(SAMPLERS), default=["dpm++_2m_karras"])
    parser.add_argument("--steps", nargs="+", type=int, default=[8])
    parser.add_argument("--guidance", nargs="+", type=float, default=[3.0])
    parser.add_argument("--spacing", nargs="+", choices=("trailing", "leading", "linspace"), default=[None])
    parser.add_argument("--count", type=int, default=200, help="how many of the held-out captions")
    parser.add_argument("--sheets", type=Path, default=None, help="folder for contact sheets")
    options = parser.parse_args()
    pipeline = StableDiffusionPipeline.from_pretrained(options.weights, torch_dtype=torch.float32, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    judge, items = Judge.load(options.judge), heldout_captions()[: options.count]
    for sampler in options.sampler:
        for steps in options.steps:
            for guidance in options.guidance:
                for spacing in options.spacing:
                    setting = Setting(sampler, steps, guidance, spacing)
                    measure(pipeline, judge, setting, items, options.sheets)


if __name__ == "__main__":
    main()
