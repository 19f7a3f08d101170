"""Write the try-on model as a CatVTON-shaped diffusers folder in fp16: `python -m wardrobe.training.tryon_export`."""

import argparse
import json
import logging
import shutil
from pathlib import Path

import torch

from wardrobe.training.release import forget_origin, put_in_place
from wardrobe.training.runtime import runtime_folder
from wardrobe.training.tryon_finish import finished
from wardrobe.training.tryon_model import WARDROBE, build_tryon_scheduler
from wardrobe.training.tryon_sample import TryOnModel

log = logging.getLogger(__name__)

WEIGHTS = WARDROBE.with_name("wardrobe-tryon")
UNET_FILE = "unet/diffusion_pytorch_model.safetensors"
SIZE_LIMIT = 13_300_000  # bytes: with the parser, which shares the limit of 15 MB

_INDEX = {
    "_class_name": "CatVTONPipeline",
    "_diffusers_version": "0.30.0",
    "scheduler": ["diffusers", "DDIMScheduler"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
_CARD = {
    "licence": "Apache-2.0",
    "maximum_side": 512,
    "sampling": {"steps": 4, "guidance_scale": 1.0, "scheduler": "ddim"},
}


def export(folder: Path, model: TryOnModel) -> int:
    """Write the folder and return its size in bytes. The given model is turned to fp16.

    Raises ValueError where the folder would be too big for the repository.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    build_tryon_scheduler().save_pretrained(partial / "scheduler")
    for name, part in (("unet", model.unet), ("vae", model.vae)):
        part.to(dtype=torch.float16, memory_format=torch.contiguous_format).save_pretrained(partial / name)
        forget_origin(partial / name / "config.json")
    for name, content in (("model_index.json", _INDEX), ("triptych.json", _CARD)):
        (partial / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return put_in_place(partial, folder, SIZE_LIMIT)


def main() -> None:
    """Export what the runtime folder holds."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    size = export(options.output, finished(runtime_folder(options.runtime)))
    log.info("%s: %.1f MB", options.output, size / 1e6)


if __name__ == "__main__":
    main()
