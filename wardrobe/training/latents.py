"""Encode the corpus once with the trained autoencoder: `python -m wardrobe.training.latents`."""

import argparse
import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL

from wardrobe.training import corpus, parallel
from wardrobe.training.models import LATENT_CHANNELS, LATENT_SIZE
from wardrobe.training.runtime import pick_device, runtime_folder
from wardrobe.training.vae import FINAL, to_tensor
from wardrobe.world.canvas import Pixels

log = logging.getLogger(__name__)

LATENTS_FILE = "latents.npy"
Latents = npt.NDArray[np.float16]


@torch.no_grad()
def encode_all(vae: AutoencoderKL, pictures: Pixels, path: Path, batch: int = 32) -> None:
    """Write the scaled posterior modes, float16 [N, 8, 16, 16]; each process encodes every other batch."""
    device = pick_device()
    vae = vae.to(device, memory_format=torch.channels_last).eval()
    partial = path.with_suffix(".partial.npy")
    shape = (len(pictures), LATENT_CHANNELS, LATENT_SIZE, LATENT_SIZE)
    if parallel.rank() == 0:
        np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)  # type: ignore[no-untyped-call]
    parallel.barrier()
    latents: Latents = np.load(partial, mmap_mode="r+")
    for number, start in enumerate(range(0, len(pictures), batch)):
        if number % parallel.world_size() != parallel.rank():
            continue
        images = to_tensor(np.array(pictures[start : start + batch])).to(device)
        with torch.autocast(device.type, torch.bfloat16):
            mode = vae.encode(images).latent_dist.mode()
        latents[start : start + batch] = (mode.float() * vae.config.scaling_factor).cpu().numpy()
        if number % 100 == 0:
            log.info("encoded %d of %d", start, len(pictures))
    parallel.barrier()
    if parallel.rank() == 0:
        partial.replace(path)
        sample = latents[:1000].astype(np.float32)
        log.info("latents: mean %.3f, deviation %.3f", float(sample.mean()), float(sample.std()))


def load(folder: Path) -> Latents:
    """The cached latents, float16 [N, 8, 16, 16]."""
    latents: Latents = np.load(folder / LATENTS_FILE)
    return latents


def main() -> None:
    """Encode the corpus from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--people", type=int, default=None, help="only the first ones")
    options = parser.parse_args()
    parallel.start()
    folder = runtime_folder(options.runtime)
    vae = AutoencoderKL.from_pretrained(folder / FINAL)
    encode_all(vae, corpus.load(folder, corpus.PEOPLE_FILE)[: options.people], folder / LATENTS_FILE)
    parallel.stop()


if __name__ == "__main__":
    main()
