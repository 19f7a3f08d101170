"""Rendered sheets on disk, one uint8 memory map whose rows are training scenes.

Run `python -m wardrobe.training.layers_corpus`.
"""

import argparse
import logging
import os
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from wardrobe.training.corpus import training_scenes
from wardrobe.training.runtime import runtime_folder
from wardrobe.world.canvas import SIZE, Pixels
from wardrobe.world.render import render
from wardrobe.world.scene import Scene
from wardrobe.world.sheets import FINEST, finest_sheets

log = logging.getLogger(__name__)

FILE = "sheets.npy"
"""uint8 [scenes, 6, 128, 128, 4]."""


def draw(scene: Scene) -> Pixels:
    """The finest sheets [6, 128, 128, 4] of a scene."""
    return finest_sheets(render(scene))


def build(path: Path, count: int, workers: int) -> None:
    """Render what is missing. A file that exists is complete: it is renamed into place at the end."""
    if path.exists() and np.load(path, mmap_mode="r").shape[0] >= count:
        log.info("%s is there", path.name)
        return
    partial = path.with_suffix(".partial.npy")
    shape = (count, len(FINEST), SIZE, SIZE, 4)
    pixels = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)  # type: ignore[no-untyped-call]
    with get_context("fork").Pool(workers) as pool:
        for row, drawn in enumerate(pool.imap(draw, training_scenes(count), chunksize=32)):
            pixels[row] = drawn
            if row % 1000 == 999:
                log.info("%d of %d", row + 1, count)
    pixels.flush()
    partial.replace(path)


def main() -> None:
    """Render the corpus from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--scenes", type=int, default=7000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    build(runtime_folder(options.runtime) / FILE, options.scenes, options.workers)


if __name__ == "__main__":
    main()
