"""Rendered training pictures on disk: one uint8 memory map per kind, written once, read by every trainer.

Run `python -m wardrobe.training.corpus`. Rows appear in the order of `training_scenes`, so captions need no file.
"""

import argparse
import logging
import os
from abc import ABC, abstractmethod
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from wardrobe.training.runtime import runtime_folder
from wardrobe.world.canvas import SIZE, Pixels, compose
from wardrobe.world.render import flat_lay, render
from wardrobe.world.scene import Scene, scenes

log = logging.getLogger(__name__)

SCENE_SEED = 1
PEOPLE_FILE = "people.npy"
EXTRAS_FILE = "extras.npy"


def training_scenes(count: int) -> list[Scene]:
    """The first `count` training scenes; none of their combinations is held out."""
    return list(islice(scenes(SCENE_SEED, held_out=False), count))


def load(folder: Path, name: str) -> Pixels:
    """uint8 [N, 128, 128, 3], memory-mapped read-only."""
    pixels: Pixels = np.load(folder / name, mmap_mode="r")
    return pixels


def build(folder: Path, people: int, extras: int, workers: int) -> None:
    """Render what is missing. A file that exists is complete: it is renamed into place at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / PEOPLE_FILE, people, training_scenes(people), _draw_person, workers)
    _write(folder / EXTRAS_FILE, extras, training_scenes(extras), _draw_extra, workers)


def _write(path: Path, count: int, rows: list[Scene], draw: "Draw", workers: int) -> None:
    if path.exists() and np.load(path, mmap_mode="r").shape[0] >= count:
        log.info("%s is there", path.name)
        return
    partial = path.with_suffix(".partial.npy")
    shape = (count, SIZE, SIZE, 3)
    pixels = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)  # type: ignore[no-untyped-call]
    with get_context("fork").Pool(workers) as pool:
        for row, image in enumerate(pool.imap(draw, enumerate(rows), chunksize=32)):
            pixels[row] = image
            if row % 2000 == 1999:
                log.info("%s: %d of %d", path.name, row + 1, count)
    pixels.flush()
    partial.replace(path)


class Draw(ABC):
    """A picklable drawing job: (row, scene) -> RGB uint8 [128, 128, 3]."""

    @abstractmethod
    def __call__(self, job: tuple[int, Scene]) -> Pixels:
        """Draw one row."""


class _Person(Draw):
    def __call__(self, job: tuple[int, Scene]) -> Pixels:
        """Draw one row."""
        return render(job[1]).image


class _Extra(Draw):
    """What the autoencoder meets outside whole pictures: flat-lays, single layers, pictures with a grey hole."""

    def __call__(self, job: tuple[int, Scene]) -> Pixels:
        """Draw one row."""
        row, scene = job
        rng = np.random.default_rng([SCENE_SEED, row])
        if row % 3 == 0:
            return flat_lay(scene.bottoms if scene.bottoms is not None and row % 2 else scene.top)
        picture = render(scene)
        if row % 3 == 1:
            ground = np.empty((SIZE, SIZE, 4), np.uint8)
            ground[...] = (*(int(v) for v in rng.integers(0, 256, 3)), 255)
            kept = [layer.pixels for layer in picture.layers[2:] if rng.random() < 0.4]
            return compose([ground, *kept])
        image = picture.image.copy()
        x, y = (int(v) for v in rng.integers(16, 64, 2))
        image[y : y + int(rng.integers(24, 64)), x : x + int(rng.integers(24, 64))] = 128
        return image


_draw_person, _draw_extra = _Person(), _Extra()


def main() -> None:
    """Render the corpus from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--people", type=int, default=24000)
    parser.add_argument("--extras", type=int, default=2400)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    build(runtime_folder(options.runtime), options.people, options.extras, options.workers)


if __name__ == "__main__":
    main()
