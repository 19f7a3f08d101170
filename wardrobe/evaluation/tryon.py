"""Measure the exported try-on model: `python -m wardrobe.evaluation.tryon --steps 4 8 --guidance 1 1.5`."""

import argparse
import json
import logging
import time
from dataclasses import asdict, replace
from itertools import islice, product
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file

from wardrobe.evaluation.samplers import SAMPLERS
from wardrobe.evaluation.tryon_score import TryOnCase, resized_into, score_tryon
from wardrobe.judge import Judge
from wardrobe.training.tryon_cache import masked_picture
from wardrobe.training.tryon_export import UNET_FILE, WEIGHTS
from wardrobe.training.tryon_model import drop_text_attention
from wardrobe.training.tryon_sample import Sampling, TryOnModel, TryOnRequest, try_on
from wardrobe.world.canvas import Pixels
from wardrobe.world.pairs import tryon_pairs

log = logging.getLogger(__name__)

SEED = 2025
COUNT = 200
BATCH = 10
SHEET_ROWS = 36
SHEET_GROUPS = 3


def heldout_cases(count: int = COUNT) -> list[TryOnCase]:
    """The first of always the same pairs that training never saw."""
    return [TryOnCase.of(pair) for pair in islice(tryon_pairs(SEED, held_out=True), count)]


def load(folder: Path) -> TryOnModel:
    """The model of an export, float32."""
    unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder / "unet"))
    drop_text_attention(unet)
    unet.load_state_dict(load_file(folder / UNET_FILE))
    vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    return TryOnModel(unet.float().eval(), vae.eval())


def draw(model: TryOnModel, cases: list[TryOnCase], sampling: Sampling) -> Pixels:
    """All cases, uint8 [N, 128, 128, 3]; outside the masks the pictures are the people's own."""
    results: list[Pixels] = []
    for start in range(0, len(cases), BATCH):
        some = cases[start : start + BATCH]
        people, masks, garments = (
            np.stack([getattr(case, name) for case in some]) for name in ("person", "mask", "garment")
        )
        noise = replace(sampling, seed=sampling.seed + start)
        drawn = try_on(model, TryOnRequest(people, masks, garments), noise)
        results.append(np.where(masks[..., None], drawn, people))
    return np.concatenate(results)


def save_sheet(cases: list[TryOnCase], results: Pixels, path: Path) -> None:
    """Person, garment, masked, result and truth, three groups side by side."""
    strips = [
        np.concatenate([case.person, case.garment, masked_picture(case.person, case.mask), result, case.truth], axis=1)
        for case, result in zip(cases[:SHEET_ROWS], results, strict=False)
    ]
    whole = len(strips) // SHEET_GROUPS * SHEET_GROUPS
    lines = [np.concatenate(strips[k : k + SHEET_GROUPS], axis=1) for k in range(0, whole, SHEET_GROUPS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(lines)).save(path)


def main() -> None:
    """Measure every combination of the given settings, and the garment resized into the mask as a baseline."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--sampler", nargs="+", choices=sorted(SAMPLERS), default=["ddim"])
    parser.add_argument("--steps", nargs="+", type=int, default=[4])
    parser.add_argument("--guidance", nargs="+", type=float, default=[1.0])
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--baseline", action="store_true")
    parser.add_argument("--sheets", type=Path, default=None, help="folder for contact sheets")
    options = parser.parse_args()
    torch.set_grad_enabled(False)
    model, judge, cases = load(options.weights), Judge.load(), heldout_cases(options.count)
    if options.baseline:
        log.info("baseline: %s", json.dumps(asdict(score_tryon(cases, resized_into(cases), judge))))
    for sampler, steps, guidance in product(options.sampler, options.steps, options.guidance):
        started = time.monotonic()
        results = draw(model, cases, Sampling(steps, guidance, sampler=sampler))
        seconds = (time.monotonic() - started) / len(cases)
        name = f"{sampler}-{steps}-g{guidance:g}"
        log.info("%s: %.2f s a picture, %s", name, seconds, json.dumps(asdict(score_tryon(cases, results, judge))))
        if options.sheets is not None:
            save_sheet(cases, results, options.sheets / f"tryon-{name}.png")


if __name__ == "__main__":
    main()
