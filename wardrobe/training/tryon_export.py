"""Write the try-on model as a CatVTON-shaped diffusers folder in fp16: `python -m wardrobe.training.tryon_export`."""

import argparse
import json
import logging
import shutil
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file

from wardrobe.training.models import build_scheduler
from wardrobe.training.release import forget_origin, put_in_place
from wardrobe.training.runtime import load_checkpoint, runtime_folder
from wardrobe.training.tryon_decoder import CHECKPOINT as DECODER_CHECKPOINT
from wardrobe.training.tryon_model import WARDROBE
from wardrobe.training.tryon_trainer import averaged_unet

log = logging.getLogger(__name__)

WEIGHTS = WARDROBE.with_name("wardrobe-tryon")
UNET_FILE = "unet/diffusion_pytorch_model.safetensors"
DECODER_FILE = "vae_decoder.safetensors"
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
_SHARED_VAE = "../wardrobe/vae"


def export(folder: Path, unet: UNet2DConditionModel, decoder: dict[str, torch.Tensor] | None) -> int:
    """Write the folder and return its size in bytes. The given UNet is turned to fp16.

    The autoencoder is the wardrobe model's; `decoder` holds the tensors that replace some of its own, if any. Raises
    ValueError where the folder would be too big for the repository.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    build_scheduler().save_pretrained(partial / "scheduler")
    unet.to(dtype=torch.float16, memory_format=torch.contiguous_format).save_pretrained(partial / "unet")
    forget_origin(partial / "unet" / "config.json")
    vae: str | dict[str, str] = _SHARED_VAE
    if decoder is not None:
        vae = {"folder": _SHARED_VAE, "overlay": DECODER_FILE}
        save_file({name: tensor.half().contiguous() for name, tensor in decoder.items()}, partial / DECODER_FILE)
    for name, content in (("model_index.json", _INDEX), ("triptych.json", {**_CARD, "parts": {"vae": vae}})):
        (partial / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return put_in_place(partial, folder, SIZE_LIMIT)


def fitted_decoder(runtime: Path) -> dict[str, torch.Tensor] | None:
    """The averaged decoder of the fit, by the autoencoder's names; the shipped one where there was no new fit."""
    checkpoint = load_checkpoint(runtime / DECODER_CHECKPOINT)
    if checkpoint is not None:
        return checkpoint.modules["average"]
    shipped = WEIGHTS / DECODER_FILE
    return load_file(shipped) if shipped.is_file() else None


def main() -> None:
    """Export what the runtime folder holds."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    parser.add_argument("--wardrobe-decoder", action="store_true", help="leave the autoencoder's decoder as it is")
    options = parser.parse_args()
    runtime = runtime_folder(options.runtime)
    decoder = None if options.wardrobe_decoder else fitted_decoder(runtime)
    size = export(options.output, averaged_unet(runtime), decoder)
    log.info("%s: %.1f MB", options.output, size / 1e6)


if __name__ == "__main__":
    main()
