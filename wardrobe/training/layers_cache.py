"""Encode every sheet once with the trained autoencoder: `python -m wardrobe.training.layers_cache`."""

import argparse
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from wardrobe.training import corpus, layers_corpus, parallel
from wardrobe.training.layers_models import CHANNELS, FlatVae
from wardrobe.training.layers_vae import to_tensor, trained_vae
from wardrobe.training.runtime import pick_device, runtime_folder
from wardrobe.world.canvas import SIZE, Pixels
from wardrobe.world.sheets import FINEST, NAMES, flatten, sheet_range

log = logging.getLogger(__name__)

FOLDER = "layers"
USUAL = 5
"""Sheets that most of the training asks for; other counts are learned from the first scenes alone."""
_BATCH = 32
Half = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class SheetLatents:
    """Means of the posterior, not normalised, float16 [scenes, 16, 16, 16]: by first and one past the last of the
    finest sheets that are joined.
    """

    ranges: Mapping[tuple[int, int], Half]

    @property
    def picture(self) -> Half:
        """The whole pictures'."""
        return self.ranges[0, len(FINEST)]

    def frames(self, count: int) -> list[Half]:
        """The sheets of an answer of `count`, bottom to top, at most 6."""
        return [self.ranges[sheet_range(name, count)] for name in NAMES[count - 2]]

    def statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of each channel over pictures and sheets, float32 [16]."""
        some = torch.from_numpy(np.concatenate([kind[:500] for kind in self.ranges.values()])).float()
        return some.mean((0, 2, 3)), some.std((0, 2, 3))


def _usual_ranges() -> list[tuple[int, int]]:
    return [(0, len(FINEST)), *(sheet_range(name, USUAL) for name in NAMES[USUAL - 2])]


def _other_ranges() -> list[tuple[int, int]]:
    every = {sheet_range(name, count + 2) for count, names in enumerate(NAMES) for name in names}
    return sorted(every - set(_usual_ranges()))


def ranges() -> list[tuple[int, int]]:
    """All that are encoded."""
    return [*_usual_ranges(), *_other_ranges()]


def path_of(folder: Path, sheets: tuple[int, int]) -> Path:
    """Where the latents of a range are."""
    return folder / f"latents-{sheets[0]}-{sheets[1]}.npy"


@torch.no_grad()
def encode_range(vae: FlatVae, source: Pixels, sheets: tuple[int, int], path: Path) -> None:
    """Write the latents of one range of every scene of the source."""
    device, latents = pick_device(), np.empty((len(source), CHANNELS, SIZE // 8, SIZE // 8), np.float16)
    for start in range(0, len(source), _BATCH):
        scenes = np.asarray(source[start : start + _BATCH, sheets[0] : sheets[1]])
        joined = np.stack([flatten(scene) for scene in scenes])
        with torch.autocast(device.type, torch.bfloat16):
            mean, _ = vae.encode(to_tensor(joined).to(device, memory_format=torch.channels_last))
        latents[start : start + _BATCH] = mean.float().cpu().numpy()
    partial = path.with_suffix(".partial.npy")
    np.save(partial, latents)
    partial.replace(path)
    log.info("%s: %d", path.name, len(latents))


def load(folder: Path) -> SheetLatents:
    """All that is cached."""
    return SheetLatents({sheets: np.load(path_of(folder, sheets)) for sheets in ranges()})


def main() -> None:
    """Encode what is missing; each process does every other range."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--scenes", type=int, default=None, help="only the first ones")
    parser.add_argument("--others", type=int, default=2500, help="scenes that are learned with other counts of sheets")
    options = parser.parse_args()
    parallel.start()
    runtime = runtime_folder(options.runtime)
    folder = runtime / FOLDER
    folder.mkdir(exist_ok=True)
    vae = trained_vae(runtime).to(pick_device())
    source = corpus.load(runtime, layers_corpus.FILE)[: options.scenes]
    work = [(sheets, source) for sheets in _usual_ranges()]
    work += [(sheets, source[: options.others]) for sheets in _other_ranges()]
    for number, (sheets, scenes) in enumerate(work):
        path = path_of(folder, sheets)
        if number % parallel.world_size() == parallel.rank() and not path.exists():
            encode_range(vae, scenes, sheets, path)
    parallel.barrier()
    parallel.stop()


if __name__ == "__main__":
    main()
