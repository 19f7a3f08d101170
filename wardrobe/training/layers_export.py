"""Write the layered model as a QwenImageLayeredPipeline folder in fp16: `python -m wardrobe.training.layers_export`."""

import argparse
import json
import logging
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
from transformers import Qwen2_5_VLForConditionalGeneration

from wardrobe.training import layers_cache
from wardrobe.training.layers import captions_of, empty_latents
from wardrobe.training.layers_models import build_scheduler, build_vae
from wardrobe.training.layers_text import train_tokenizer
from wardrobe.training.layers_trainer import CHECKPOINT, LayersTrainer, LayersTraining
from wardrobe.training.layers_vae import trained_vae
from wardrobe.training.release import forget_origin, put_in_place
from wardrobe.training.runtime import runtime_folder
from wardrobe.training.tryon_model import WARDROBE
from wardrobe.world.sheets import NAMES

log = logging.getLogger(__name__)

WEIGHTS = WARDROBE.with_name("wardrobe-layers")
SIZE_LIMIT = 20_000_000  # bytes

_INDEX = {
    "_class_name": "QwenImageLayeredPipeline",
    "_diffusers_version": "0.36.0",
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"],
    "tokenizer": ["transformers", "Qwen2Tokenizer"],
    "transformer": ["diffusers", "QwenImageTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKLQwenImage"],
}
_CARD = {
    "licence": "Apache-2.0",
    "default_side": 128,
    "maximum_side": 512,
    "sampling": {"steps": 4, "guidance_scale": 1.0},
    "layers": {"resolutions": [128], "usual": 5, "names": [list(names) for names in NAMES]},
}


def export(folder: Path, trainer: LayersTrainer, vae: AutoencoderKLQwenImage) -> int:
    """Write the folder and return its size in bytes; the trainer's averaged weights are turned to fp16.

    Raises ValueError where it would be too big for the repository.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    transformer: QwenImageTransformer2DModel = trainer.ema.denoiser.transformer
    text_encoder: Qwen2_5_VLForConditionalGeneration = trainer.text_encoder
    text_encoder.model.language_model.load_state_dict(trainer.ema.text.state_dict())
    build_scheduler().save_pretrained(partial / "scheduler")
    trainer.tokenizer.save_pretrained(partial / "tokenizer")
    for name, part in (("transformer", transformer), ("vae", vae), ("text_encoder", text_encoder)):
        part.to(torch.float16).save_pretrained(partial / name)
        forget_origin(partial / name / "config.json")
    for name, content in (("model_index.json", _INDEX), ("triptych.json", _CARD)):
        (partial / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return put_in_place(partial, folder, SIZE_LIMIT)


def shipped_vae(runtime: Path, mean: torch.Tensor, std: torch.Tensor) -> AutoencoderKLQwenImage:
    """The trained autoencoder in diffusers' form, which knows how its latents are normalised."""
    trained = trained_vae(runtime).unfold()
    vae = build_vae()
    vae.load_state_dict(trained.state_dict())
    vae.register_to_config(latents_mean=mean.tolist(), latents_std=std.tolist())
    return vae


def main() -> None:
    """Export what the runtime folder holds. Raises FileNotFoundError before the first checkpoint."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--output", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    runtime = runtime_folder(options.runtime)
    latents, vae = layers_cache.load(runtime / layers_cache.FOLDER), trained_vae(runtime)
    trainer = LayersTrainer(
        LayersTraining(), latents, captions_of(len(latents.picture)), empty_latents(vae), train_tokenizer()
    )
    if not trainer.restore(runtime / CHECKPOINT):
        raise FileNotFoundError(f"{runtime / CHECKPOINT}: run `python -m wardrobe.training.layers` first")
    size = export(options.output, trainer, shipped_vae(runtime, trainer.mean, trainer.std))
    log.info("%s: %.1f MB", options.output, size / 1e6)


if __name__ == "__main__":
    main()
