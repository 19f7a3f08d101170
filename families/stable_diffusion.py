"""The Stable Diffusion 1.x family: CLIP text encoder, UNet on 4-channel latents, AutoencoderKL, batched guidance.

Reads a diffusers pipeline folder's JSON; no weights are opened.
"""

import json
from pathlib import Path
from typing import Any

from families.errors import ManifestError
from families.manifest import (
    GuidanceKind,
    LatentKind,
    LatentLayout,
    ModelManifest,
    NoiseSchedule,
    Prediction,
    PromptRule,
    SamplingDefaults,
    SizeRule,
)
from families.tensors import ComponentSignature, DType, TensorSpec

FAMILY = "stable-diffusion"
PIPELINE_CLASSES = frozenset({"StableDiffusionPipeline"})

# What the Stable Diffusion 1.x authors recommend; a folder's `triptych.json` may say otherwise.
_STEPS = 25
_GUIDANCE = 7.5
_SCHEDULER = "dpm++_sde_karras"
_MINIMUM_SIDE = 64
_MAXIMUM_SIDE = 2048


def load_manifest(folder: Path, name: str) -> ModelManifest:
    """Describe the diffusers folder at `folder` under the name `name`. Raises ManifestError naming what is missing."""
    unet = _config(folder / "unet" / "config.json")
    vae = _config(folder / "vae" / "config.json")
    text = _config(folder / "text_encoder" / "config.json")
    scheduler = _config(folder / "scheduler" / "scheduler_config.json")
    card = _config(folder / "triptych.json") if (folder / "triptych.json").is_file() else {}
    sampling = card.get("sampling", {})

    channels = int(vae["latent_channels"])
    downscale = 2 ** (len(vae["block_out_channels"]) - 1)
    side = int(unet["sample_size"]) * downscale
    length = int(text["max_position_embeddings"])
    width = int(text["hidden_size"])

    context = TensorSpec("context", DType.FP32, (length, width))
    latent = (channels, "latent_height", "latent_width")
    return ModelManifest(
        name=name,
        family=FAMILY,
        licence=str(card.get("licence", "unknown")),
        latent=LatentLayout(
            LatentKind.NCHW, channels, downscale, float(vae["scaling_factor"]), float(vae.get("shift_factor") or 0.0)
        ),
        noise=NoiseSchedule(
            num_train_timesteps=int(scheduler["num_train_timesteps"]),
            beta_start=float(scheduler["beta_start"]),
            beta_end=float(scheduler["beta_end"]),
            beta_schedule=str(scheduler["beta_schedule"]),
            prediction=Prediction(scheduler.get("prediction_type", Prediction.EPSILON)),
            timestep_spacing=str(scheduler.get("timestep_spacing", "leading")),
            steps_offset=int(scheduler.get("steps_offset", 0)),
            set_alpha_to_one=bool(scheduler.get("set_alpha_to_one", False)),
        ),
        guidance=GuidanceKind.BATCHED,
        size=SizeRule(downscale, _MINIMUM_SIDE, int(card.get("maximum_side", _MAXIMUM_SIDE)), side, side),
        defaults=SamplingDefaults(
            steps=int(sampling.get("steps", _STEPS)),
            guidance_scale=float(sampling.get("guidance_scale", _GUIDANCE)),
            scheduler=str(sampling.get("scheduler", _SCHEDULER)),
        ),
        prompt=PromptRule(
            length, int(text["bos_token_id"]), int(text["eos_token_id"]), _pad_id(folder, int(text["eos_token_id"]))
        ),
        text_encoder=ComponentSignature((TensorSpec("input_ids", DType.INT64, (length,)),), (context,)),
        denoiser=ComponentSignature(
            (TensorSpec("sample", DType.FP32, latent), TensorSpec("timestep", DType.FP32, ()), context),
            (TensorSpec("prediction", DType.FP32, latent),),
        ),
        vae_decoder=ComponentSignature(
            (TensorSpec("latents", DType.FP32, latent),),
            (TensorSpec("pixels", DType.UINT8, ("height", "width", 3)),),
        ),
    )


def _config(path: Path) -> dict[str, Any]:
    """One of the folder's JSON files. Only this module sees the raw mapping."""
    try:
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ManifestError(f"{path} is missing: not a complete diffusers folder") from error
    except json.JSONDecodeError as error:
        raise ManifestError(f"{path} is not valid JSON: {error}") from error
    return loaded


def _pad_id(folder: Path, end_id: int) -> int:
    """CLIP tokenizers pad with the end token unless their folder declares another one."""
    tokenizer = _config(folder / "tokenizer" / "tokenizer.json")
    pad_token = _config(folder / "tokenizer" / "tokenizer_config.json").get("pad_token")
    if isinstance(pad_token, dict):
        pad_token = pad_token.get("content")
    for token in tokenizer.get("added_tokens", []):
        if token["content"] == pad_token:
            return int(token["id"])
    return end_id
