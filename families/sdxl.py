"""The Stable Diffusion XL family: two CLIP text encoders, a UNet that is told the picture's size, AutoencoderKL.

Turbo models are of it: their scheduler config spaces steps `trailing`, and they are drawn in a few steps without
guidance. Reads the JSON files of a diffusers pipeline; no weights are opened.

The published VAE overflows in float16 (`force_upcast` in its config says so): export its two components in float32 or
bfloat16, or use a VAE whose weights were fixed for float16.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from families.card import read_card
from families.clip import clip_prompt_rule
from families.derived import Layout
from families.diffusion import declared_scheduler, diffusion_schedule
from families.errors import ManifestError
from families.manifest import (
    Component,
    GuidanceKind,
    LatentKind,
    LatentLayout,
    ModelManifest,
    NoiseSchedule,
    Prediction,
    SamplingDefaults,
    SizeRule,
)
from families.schedulers import SchedulerName
from families.sources.configs import ConfigFolders
from families.special_tokens import TokenizerFiles
from families.tensors import ComponentSignature, DType, NamedTensor, TensorSpec
from families.vae import vae_decoder, vae_encoder

FAMILY = "stable-diffusion-xl"
PIPELINE_CLASSES = frozenset({"StableDiffusionXLPipeline"})
_ENCODERS = ("text_encoder", "text_encoder_2")
PARTS: Mapping[Component, tuple[str, ...]] = MappingProxyType({
    Component.TEXT_ENCODER: _ENCODERS,
    Component.DENOISER: ("unet",),
    Component.VAE_ENCODER: ("vae",),
    Component.VAE_DECODER: ("vae",),
})  # fmt: skip
"""diffusers' folders of each component."""

_INDEX = "model_index.json"
# What the authors recommend; a folder's `triptych.json` may say otherwise.
_STEPS, _GUIDANCE = 30, 5.0
_TURBO_STEPS, _NO_GUIDANCE = 4, 1.0
_MINIMUM_SIDE = 64
_MAXIMUM_SIDE = 2048


def load_manifest(configs: ConfigFolders, name: str) -> ModelManifest:
    """Describe a pipeline under the name `name`. Raises ManifestError naming what is missing or not supported."""
    unet, vae = configs.read("unet/config.json"), configs.read("vae/config.json")
    first, second = configs.read("text_encoder/config.json"), configs.read("text_encoder_2/config.json")
    index = configs.read(_INDEX) if configs.has(_INDEX) else {}
    _check(configs)
    card = read_card(configs)

    channels = int(vae["latent_channels"])
    downscale = 2 ** (len(vae["block_out_channels"]) - 1)
    side = card.default_side or int(unet["sample_size"]) * downscale
    prompts = (
        clip_prompt_rule(TokenizerFiles(configs, "tokenizer"), first),
        clip_prompt_rule(TokenizerFiles(configs, "tokenizer_2"), second, "input_ids_2"),
    )
    width = int(first["hidden_size"]) + int(second["hidden_size"])
    pooled = TensorSpec("text_embeds", DType.FP32, (int(second["projection_dim"]),))
    latent = (channels, "latent_height", "latent_width")
    noise = diffusion_schedule(configs)
    return ModelManifest(
        name=name,
        family=FAMILY,
        licence=card.licence,
        latent=LatentLayout(LatentKind.NCHW, channels, downscale, float(vae["scaling_factor"]), 0.0),
        noise=noise,
        guidance=GuidanceKind.BATCHED,
        size=SizeRule(downscale, _MINIMUM_SIDE, card.maximum_side or _MAXIMUM_SIDE, side, side),
        defaults=card.defaults(_defaults(noise, declared_scheduler(configs, SchedulerName.EULER))),
        prompts=prompts,
        text_encoder=ComponentSignature(
            tuple(TensorSpec(rule.input, DType.INT64, (rule.length,)) for rule in prompts),
            (TensorSpec("context", DType.FP32, (prompts[0].length, width)), pooled),
        ),
        denoiser=ComponentSignature(
            (
                TensorSpec("sample", DType.FP32, latent),
                TensorSpec("timestep", DType.FP32, ()),
                TensorSpec("context", DType.FP32, ("text_length", width)),
                pooled,
                TensorSpec("time_ids", DType.FP32, (6,)),
            ),
            (TensorSpec("prediction", DType.FP32, latent),),
        ),
        vae_encoder=vae_encoder(latent),
        vae_decoder=vae_decoder(latent),
        empty_negative_is_zero=bool(index.get("force_zeros_for_empty_prompt", True)),
    )


def derive(manifest: ModelManifest, layout: Layout) -> tuple[NamedTensor, ...]:
    """`time_ids` [1, 6] float32: the original size, the crop's corner and the target size, (height, width) in pixels.

    A picture is drawn as one that was neither scaled nor cropped.
    """
    height, width = (side * manifest.latent.downscale for side in (layout.latent_height, layout.latent_width))
    return (NamedTensor("time_ids", np.array([[height, width, 0, 0, height, width]], dtype=np.float32)),)


def _defaults(noise: NoiseSchedule, scheduler: SchedulerName) -> SamplingDefaults:
    """Distilled models are told by steps that begin at pure noise; v-prediction begins there too, undistilled."""
    turbo = noise.timestep_spacing == "trailing" and noise.prediction is Prediction.EPSILON
    steps, guidance = (_TURBO_STEPS, _NO_GUIDANCE) if turbo else (_STEPS, _GUIDANCE)
    return SamplingDefaults(steps, guidance, scheduler.value)


def _check(configs: ConfigFolders) -> None:
    """Refuse relatives that this family's components would draw wrongly."""
    unet, vae = configs.read("unet/config.json"), configs.read("vae/config.json")
    file = configs.find("unet/config.json")
    if unet.get("addition_embed_type") != "text_time":
        raise ManifestError(f"{file}: addition_embed_type must be text_time, got {unet.get('addition_embed_type')!r}")
    if unet.get("time_cond_proj_dim"):
        raise ManifestError(f"{file}: time_cond_proj_dim is not supported")
    channels = unet.get("in_channels", vae["latent_channels"])
    if channels != vae["latent_channels"]:
        raise ManifestError(f"{file}: in_channels is {channels}, the VAE's latents have {vae['latent_channels']}")
    if vae.get("latents_mean"):
        raise ManifestError(f"{configs.find('vae/config.json')}: latents_mean is not supported")
    if len({configs.read(f"{part}/config.json")["max_position_embeddings"] for part in _ENCODERS}) != 1:
        text = configs.find("text_encoder_2/config.json")
        raise ManifestError(f"{text}: max_position_embeddings must be that of text_encoder")
