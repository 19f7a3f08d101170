"""Try-on pairs as latents, written in shards: `python -m wardrobe.training.tryon_cache --shards 0 20`."""

import argparse
import logging
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL

from families.tryon.agnostic import Mask, agnostic_mask
from families.tryon.parts import Category
from wardrobe.training.runtime import pick_device, runtime_folder
from wardrobe.training.tryon_model import LATENT_SIZE
from wardrobe.training.tryon_vae import trained_vae
from wardrobe.training.vae import to_tensor
from wardrobe.world.attributes import BottomsKind, Colour, Pattern, TopKind
from wardrobe.world.canvas import Pixels
from wardrobe.world.pairs import TryOnPair, reversed_pair, tryon_pairs
from wardrobe.world.render import flat_lay, render
from wardrobe.world.scene import Bottoms, Garment, Top

log = logging.getLogger(__name__)

FOLDER = "tryon"
SHARD = 250  # drawn pairs; most give a second one backwards
ENCODE_BATCH = 16
GREY = 128  # what stands in the masked part of the picture: 0 after scaling to -1..1, within half a step
Half = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class PairLatents:
    """Scaled posterior modes and masks of N pairs, and the pictures that are wanted.

    after, masked: float16 [N, 8, 32, 32]; mask: float16 [N, 32, 32], 0 or 1, the mask's nearest pixels;
    area: float16 [N, 32, 32], the masked share of each cell; garment: int64 [N], a row of `garment_latents`;
    pictures: uint8 [N, 128, 128, 3]; pixel_masks: uint8 [N, 128, 16], eight pixels a byte.
    """

    after: Half
    masked: Half
    mask: Half
    area: Half
    garment: npt.NDArray[np.int64]
    pictures: Pixels
    pixel_masks: Pixels

    def __len__(self) -> int:
        return len(self.garment)


def all_garments() -> tuple[Garment, ...]:
    """The 280 garments of the world; `PairLatents.garment` counts in this order."""
    tops = [Top(kind, colour, pattern) for kind in TopKind for colour in Colour for pattern in Pattern]
    bottoms = [Bottoms(kind, colour, pattern) for kind in BottomsKind for colour in Colour for pattern in Pattern]
    return (*tops, *bottoms)


_NUMBER = {garment: number for number, garment in enumerate(all_garments())}


def category_of(garment: Garment) -> Category:
    """What the garment replaces."""
    if isinstance(garment, Bottoms):
        return Category.BOTTOMS
    return Category.ONE_PIECES if garment.kind is TopKind.DRESS else Category.TOPS


def masked_picture(picture: Pixels, mask: Mask) -> Pixels:
    """The picture uint8 [H, W, 3] with mid-grey where `mask` is set."""
    masked: Pixels = np.where(mask[..., None], np.uint8(GREY), picture)
    return masked


def small_mask(mask: Mask) -> tuple[Half, Half]:
    """bool [128, 128] -> its nearest pixels and its mean over each cell, float16 [32, 32] both."""
    step = mask.shape[0] // LATENT_SIZE
    cells = mask.reshape(LATENT_SIZE, step, LATENT_SIZE, step)
    return mask[::step, ::step].astype(np.float16), cells.mean(axis=(1, 3)).astype(np.float16)


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: Pixels) -> Half:
    """Scaled posterior modes float16 [N, 8, 32, 32] of uint8 [N, 128, 128, 3]."""
    latents = []
    for start in range(0, len(pictures), ENCODE_BATCH):
        images = to_tensor(pictures[start : start + ENCODE_BATCH]).to(vae.device)
        with torch.autocast(vae.device.type, torch.bfloat16):
            mode = vae.encode(images).latent_dist.mode()
        latents.append((mode.float() * vae.config.scaling_factor).half().cpu().numpy())
    return np.concatenate(latents)


def garment_latents(vae: AutoencoderKL) -> Half:
    """Latents of all flat-lays, float16 [280, 8, 32, 32], in the order of `all_garments`."""
    return encode(vae, np.stack([flat_lay(garment) for garment in all_garments()]))


def build_shard(vae: AutoencoderKL, number: int, size: int = SHARD) -> PairLatents:
    """Draw and encode one shard of training pairs; the number decides which."""
    after: list[Pixels] = []
    masked: list[Pixels] = []
    masks: list[Mask] = []
    garments: list[int] = []

    def add(pair: TryOnPair, labels: Pixels, truth: Pixels) -> None:
        mask = agnostic_mask(labels, category_of(pair.garment))
        after.append(truth)
        masked.append(masked_picture(truth, mask))
        masks.append(mask)
        garments.append(_NUMBER[pair.garment])

    for pair in islice(tryon_pairs(10_000 + number, held_out=False), size):
        old, new = render(pair.before), render(pair.after)
        add(pair, old.labels, new.image)
        back = reversed_pair(pair)
        if back is not None:
            add(back, new.labels, old.image)
    nearest, area = zip(*(small_mask(mask) for mask in masks), strict=True)
    return PairLatents(
        encode(vae, np.stack(after)),
        encode(vae, np.stack(masked)),
        np.stack(nearest),
        np.stack(area),
        np.array(garments, np.int64),
        np.stack(after),
        np.packbits(np.stack(masks), axis=-1),
    )


def save_shard(shard: PairLatents, path: Path) -> None:
    """Write beside, then rename."""
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **{field.name: getattr(shard, field.name) for field in fields(shard)})
    partial.replace(path)


def load_shards(folder: Path) -> PairLatents:
    """All shards in the folder as one. Raises FileNotFoundError where there is none."""
    paths = sorted(folder.glob("pairs-*[0-9].npz"))
    if not paths:
        raise FileNotFoundError(f"no pairs-*.npz in {folder}: run `python -m wardrobe.training.tryon_cache` first")
    shards = [np.load(path) for path in paths]
    return PairLatents(**{f.name: np.concatenate([shard[f.name] for shard in shards]) for f in fields(PairLatents)})


def main() -> None:
    """Write the missing shards of a range."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--shards", type=int, nargs=2, default=(0, 24), metavar=("FIRST", "END"))
    options = parser.parse_args()
    folder = runtime_folder(options.runtime) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    vae = trained_vae(runtime_folder(options.runtime)).to(pick_device(), memory_format=torch.channels_last)
    if not (folder / "garments.npy").exists():
        np.save(folder / "garments.npy", garment_latents(vae))
    for number in range(*options.shards):
        path = folder / f"pairs-{number:04d}.npz"
        if not path.exists():
            shard = build_shard(vae, number)
            save_shard(shard, path)
            log.info("%s: %d pairs", path.name, len(shard))


if __name__ == "__main__":
    main()
