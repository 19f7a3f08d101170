"""Measure the exported parser on pictures that it never saw: `python -m wardrobe.evaluation.parser`."""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.settings import RuntimeSettings
from engine.vision import VisionRuntime, open_vision
from wardrobe.evaluation.parser_sheet import parser_sheet
from wardrobe.training.parser_corpus import draw, soften
from wardrobe.training.parser_export import WEIGHTS
from wardrobe.training.parser_samples import flat_lay_sample
from wardrobe.world.attributes import Background, Part
from wardrobe.world.backgrounds import draw_background
from wardrobe.world.canvas import Pixels
from wardrobe.world.keypoints import Keypoints
from wardrobe.world.render import PARTS
from wardrobe.world.scene import BACKDROP_VARIANTS, Garment, Scene, scenes

log = logging.getLogger(__name__)

SEED = 707
PEOPLE = 200
NEAR = 3.0  # pixels of 128
CONFIDENT = 0.3
SOMEBODY = 0.02  # of all pixels: fewer that are not background are nobody
CLOTHES = (Part.TOP, Part.BOTTOMS, Part.DRESS)


@dataclass(frozen=True, slots=True)
class ParserScores:
    """Shares of 0..1. `iou` by part, `mean_iou` of all of them; `softened`: of pictures through the autoencoder.

    `keypoints`: within 3 pixels. `flat_lays`: whose category was told. `nobody`: empty places that were told so.
    """

    iou: dict[str, float]
    mean_iou: float
    softened_mean_iou: float
    keypoints: float
    flat_lays: float
    nobody: float
    people: int


def open_parser(folder: Path = WEIGHTS) -> VisionRuntime:
    """The exported parser on one thread of the CPU."""
    return open_vision(folder, RuntimeSettings(threads=1, device="cpu"), None)[1]


def look(parser: VisionRuntime, images: Pixels) -> tuple[Pixels, npt.NDArray[np.float32]]:
    """Labels uint8 [N, H, W] and keypoints float32 [N, K, 3] of uint8 [N, H, W, 3]."""
    labels, points = [], []
    for start in range(0, len(images), 8):
        parts, found = parser.run_arrays([images[start : start + 8]])
        labels.append(parts.argmax(axis=1).astype(np.uint8))
        points.append(np.asarray(found, np.float32))
    return np.concatenate(labels), np.concatenate(points)


def intersections_over_unions(found: Pixels, truth: Pixels) -> dict[str, float]:
    """By part, over all pictures together; parts that neither has are left out."""
    result = {}
    for label, part in enumerate(PARTS):
        both = int(((found == label) & (truth == label)).sum())
        either = int(((found == label) | (truth == label)).sum())
        if either:
            result[part.value] = both / either
    return result


def near(found: npt.NDArray[np.float32], truth: Keypoints) -> float:
    """Share of keypoints [N, K, 3] that are confident and near their place [N, K, 2]."""
    distance = np.linalg.norm(found[..., :2] - truth, axis=-1)
    return float(((distance <= NEAR) & (found[..., 2] >= CONFIDENT)).mean())


def category(labels: Pixels) -> Part:
    """Which garment most of the clothes' pixels are of."""
    counts = [int((labels == PARTS.index(part)).sum()) for part in CLOTHES]
    return CLOTHES[int(np.argmax(counts))]


def is_anybody(labels: Pixels, points: npt.NDArray[np.float32]) -> bool:
    """Whether a picture shows a person."""
    return float((labels != 0).mean()) > SOMEBODY or float(points[:, 2].mean()) > CONFIDENT


def held_out(count: int) -> list[Scene]:
    """Scenes whose combinations no training picture has."""
    return list(islice(scenes(SEED, held_out=True), count))


def measure(parser: VisionRuntime, chosen: Sequence[Scene]) -> ParserScores:
    """Everything, on these scenes."""
    images, truth, joints = draw(chosen, 1)
    labels, points = look(parser, images)
    softened, _ = look(parser, soften(images[: max(1, len(images) // 2)]))
    garments: list[Garment] = [garment for scene in chosen for garment in (scene.top, scene.bottoms) if garment]
    flat = [flat_lay_sample(garment) for garment in garments]
    flat_labels, _ = look(parser, np.stack([sample.image for sample in flat]))
    right = [category(found) is category(sample.labels) for found, sample in zip(flat_labels, flat, strict=True)]
    places = np.stack([draw_background(b, v)[..., :3] for b in Background for v in range(BACKDROP_VARIANTS)])
    empty = [not is_anybody(*seen) for seen in zip(*look(parser, places), strict=True)]
    iou = intersections_over_unions(labels, truth)
    return ParserScores(
        iou=iou,
        mean_iou=float(np.mean(list(iou.values()))),
        softened_mean_iou=float(np.mean(list(intersections_over_unions(softened, truth[: len(softened)]).values()))),
        keypoints=near(points, joints),
        flat_lays=float(np.mean(right)),
        nobody=float(np.mean(empty)),
        people=len(chosen),
    )


def main() -> None:
    """Print the scores; with `--sheet`, also save pictures with what the parser sees in them."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--sheet", type=Path, default=None, help="PNG file for pictures with labels and keypoints")
    options = parser.parse_args()
    opened = open_parser(options.weights)
    log.info("%s", json.dumps(asdict(measure(opened, held_out(options.people))), indent=2))
    if options.sheet is not None:
        chosen = held_out(6)
        images, _, _ = draw(chosen, 1)
        garments = [flat_lay_sample(garment).image for garment in (chosen[0].top, chosen[1].top, chosen[2].top)]
        pictures = np.concatenate([images, soften(images[:3]), np.stack(garments)])
        options.sheet.parent.mkdir(parents=True, exist_ok=True)
        parser_sheet(pictures, *look(opened, pictures)).save(options.sheet)


if __name__ == "__main__":
    main()
