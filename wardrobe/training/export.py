"""Write the models as a diffusers `StableDiffusionPipeline` folder in fp16: `python -m wardrobe.training.export`."""

import argparse
import json
import logging
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from wardrobe.training import tokenizer as bpe
from wardrobe.training.checkpoints import load_checkpoint
from wardrobe.training.models import build_scheduler, build_text_encoder, build_unet, build_vae
from wardrobe.training.release import forget_origin, put_in_place
from wardrobe.training.runtime import runtime_folder

log = logging.getLogger(__name__)

WEIGHTS = Path(__file__).parents[1] / "weights" / "wardrobe"
SIZE_LIMIT = 25_000_000  # bytes: the folder is part of the repository

_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.30.0",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}

_CARD = {
    "licence": "Apache-2.0",
    "maximum_side": 512,
    "sampling": {"steps": 8, "guidance_scale": 2.0, "scheduler": "dpm++_2m_karras"},
}
"""What Triptych reads beside diffusers' own files; the sampling is the best measured of a few steps (README)."""


def export(
    folder: Path, tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel, unet: UNet2DConditionModel, vae: AutoencoderKL
) -> int:
    """Write the pipeline folder and return its size in bytes. The given models are turned to fp16 on the way."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    bpe.save(tokenizer, partial / "tokenizer")
    build_scheduler().save_pretrained(partial / "scheduler")
    for name, model in (("text_encoder", text_encoder), ("unet", unet), ("vae", vae)):
        model.to(dtype=torch.float16, memory_format=torch.contiguous_format).save_pretrained(partial / name)
        forget_origin(partial / name / "config.json")
    (partial / "model_index.json").write_text(json.dumps(_INDEX, indent=2) + "\n", encoding="utf-8")
    (partial / "triptych.json").write_text(json.dumps(_CARD, indent=2) + "\n", encoding="utf-8")
    return put_in_place(partial, folder, SIZE_LIMIT)


def main() -> None:
    """Export the EMA weights of the runtime folder; untrained ones where there are none yet."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    runtime = runtime_folder(options.runtime)
    tokenizer = CLIPTokenizer.from_pretrained(runtime / bpe.FINAL)
    torch.manual_seed(0)
    text_encoder, unet, vae = build_text_encoder(bpe.vocabulary_of(tokenizer)), build_unet(), build_vae()
    if (runtime / "vae").exists():
        vae = AutoencoderKL.from_pretrained(runtime / "vae")
    else:
        log.warning("no trained autoencoder yet: exporting random weights")
    checkpoint = load_checkpoint(runtime / "diffusion.pt")
    if checkpoint is not None:
        unet.load_state_dict(checkpoint.modules["unet_ema"])
        text_encoder.load_state_dict(checkpoint.modules["text_encoder_ema"])
    else:
        log.warning("no trained denoiser yet: exporting random weights")
    size = export(options.output, tokenizer, text_encoder, unet, vae)
    log.info("%s: %.1f MB", options.output, size / 1e6)


if __name__ == "__main__":
    main()
