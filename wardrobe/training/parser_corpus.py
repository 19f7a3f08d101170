"""What the parser learns from: renders with labels and keypoints, and the same pictures as a model would draw them.

Run `python -m wardrobe.training.parser_corpus`.
"""

import argparse
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from diffusers import AutoencoderKL

from wardrobe.training.corpus import training_scenes
from wardrobe.training.export import WEIGHTS as WARDROBE
from wardrobe.training.runtime import runtime_folder
from wardrobe.training.vae import reconstruct
from wardrobe.world.canvas import Pixels
from wardrobe.world.keypoints import Keypoints, keypoints
from wardrobe.world.render import render
from wardrobe.world.scene import Scene

log = logging.getLogger(__name__)

FOLDER = "parser_corpus"


@dataclass(frozen=True, slots=True)
class ParserCorpus:
    """One row a picture. images: uint8 [N, 128, 128, 3]; labels: uint8 [N, 128, 128]; keypoints: float32 [N, K, 2].

    `softened`: the first M <= N images through the autoencoder.
    """

    images: Pixels
    labels: Pixels
    keypoints: Keypoints
    softened: Pixels


def load(folder: Path) -> ParserCorpus:
    """Memory-mapped read-only. Raises FileNotFoundError where `build` has not ended."""
    names = ("images", "labels", "keypoints", "softened")
    return ParserCorpus(*(np.load(folder / FOLDER / f"{name}.npy", mmap_mode="r") for name in names))


def draw(rows: Sequence[Scene], workers: int) -> tuple[Pixels, Pixels, Keypoints]:
    """Images, labels and keypoints of these scenes."""
    if workers <= 1:
        drawn = [_truth(scene) for scene in rows]
    else:
        with get_context("fork").Pool(workers) as pool:
            drawn = pool.map(_truth, rows, chunksize=32)
    images, labels, points = zip(*drawn, strict=True)
    return np.stack(images), np.stack(labels), np.stack(points)


def soften(pictures: Pixels) -> Pixels:
    """Pictures as the embedded model's decoder gives them back."""
    vae = AutoencoderKL.from_pretrained(WARDROBE / "vae").float().eval()
    return reconstruct(vae, pictures, batch=8)


def build(folder: Path, people: int, softened: int, workers: int) -> None:
    """Write what is missing. A folder that exists is complete: it is renamed into place at the end."""
    target = folder / FOLDER
    if target.exists():
        log.info("%s is there", target)
        return
    partial = target.with_suffix(".partial")
    partial.mkdir(exist_ok=True)
    images, labels, points = draw(training_scenes(people), workers)
    log.info("%d people are drawn", people)
    for name, array in (("images", images), ("labels", labels), ("keypoints", points)):
        np.save(partial / f"{name}.npy", array)
    np.save(partial / "softened.npy", soften(images[:softened]))
    partial.rename(target)


def _truth(scene: Scene) -> tuple[Pixels, Pixels, Keypoints]:
    picture = render(scene)
    return picture.image, picture.labels, keypoints(scene)


def main() -> None:
    """Render the corpus from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--people", type=int, default=6000)
    parser.add_argument("--softened", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    build(runtime_folder(options.runtime), options.people, options.softened, options.workers)


if __name__ == "__main__":
    main()
