"""The Stable Diffusion 1.x family: CLIP text encoder, UNet on 4-channel latents, AutoencoderKL, batched guidance.

Reads the JSON files of a diffusers pipeline; no weights are opened.
"""

from collections.abc import Mapping
from types import MappingProxyType

from families.card import read_card
from families.clip import clip_prompt_rule
from families.diffusion import diffusion_schedule
from families.manifest import (
    Component,
    GuidanceKind,
    LatentKind,
    LatentLayout,
    ModelManifest,
    SamplingDefaults,
    SizeRule,
)
from families.sources.configs import ConfigFolders
from families.special_tokens import TokenizerFiles
from families.tensors import ComponentSignature, DType, TensorSpec
from families.vae import vae_decoder, vae_encoder

FAMILY = "stable-diffusion"
PIPELINE_CLASSES = frozenset({"StableDiffusionPipeline"})
PARTS: Mapping[Component, tuple[str, ...]] = MappingProxyType({
    Component.TEXT_ENCODER: ("text_encoder",),
    Component.DENOISER: ("unet",),
    Component.VAE_ENCODER: ("vae",),
    Component.VAE_DECODER: ("vae",),
})  # fmt: skip
"""diffusers' folders of each component."""

# What the Stable Diffusion 1.x authors recommend; a folder's `triptych.json` may say otherwise.
_DEFAULTS = SamplingDefaults(steps=25, guidance_scale=7.5, scheduler="dpm++_sde_karras")
_MINIMUM_SIDE = 64
_MAXIMUM_SIDE = 2048


def load_manifest(configs: ConfigFolders, name: str) -> ModelManifest:
    """Describe a pipeline under the name `name`. Raises ManifestError naming what is missing or not supported."""
    unet = configs.read("unet/config.json")
    vae = configs.read("vae/config.json")
    text = configs.read("text_encoder/config.json")
    card = read_card(configs)

    channels = int(vae["latent_channels"])
    downscale = 2 ** (len(vae["block_out_channels"]) - 1)
    side = card.default_side or int(unet["sample_size"]) * downscale
    prompt = clip_prompt_rule(TokenizerFiles(configs, "tokenizer"), text)
    width = int(text["hidden_size"])

    context = TensorSpec("context", DType.FP32, (prompt.length, width))
    joined = TensorSpec("context", DType.FP32, ("text_length", width))
    latent = (channels, "latent_height", "latent_width")
    return ModelManifest(
        name=name,
        family=FAMILY,
        licence=card.licence,
        latent=LatentLayout(
            LatentKind.NCHW, channels, downscale, float(vae["scaling_factor"]), float(vae.get("shift_factor") or 0.0)
        ),
        noise=diffusion_schedule(configs),
        guidance=GuidanceKind.BATCHED,
        size=SizeRule(downscale, _MINIMUM_SIDE, card.maximum_side or _MAXIMUM_SIDE, side, side),
        defaults=card.defaults(_DEFAULTS),
        prompts=(prompt,),
        text_encoder=ComponentSignature((TensorSpec(prompt.input, DType.INT64, (prompt.length,)),), (context,)),
        denoiser=ComponentSignature(
            (TensorSpec("sample", DType.FP32, latent), TensorSpec("timestep", DType.FP32, ()), joined),
            (TensorSpec("prediction", DType.FP32, latent),),
        ),
        vae_encoder=vae_encoder(latent),
        vae_decoder=vae_decoder(latent),
    )
