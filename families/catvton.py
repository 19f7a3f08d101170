"""CatVTON: Stable Diffusion's inpainting UNet without cross-attention, the garment's latents below the person's.

There is no prompt. Each denoised half sees the other through self-attention alone; the lower one, which becomes the
garment again, is thrown away. Reads the JSON files of a diffusers pipeline; no weights are opened.
"""

from collections.abc import Mapping
from types import MappingProxyType

from families.card import read_card
from families.diffusion import diffusion_schedule
from families.errors import ManifestError
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
from families.tensors import LATENT_HEIGHT, LATENT_WIDTH, ComponentSignature, DType, TensorSpec
from families.try_on_rule import StackAxis, TryOnCondition, TryOnPart, TryOnRule
from families.vae import vae_decoder, vae_encoder

FAMILY = "catvton"
PIPELINE_CLASSES = frozenset({"CatVTONPipeline"})
PARTS: Mapping[Component, tuple[str, ...]] = MappingProxyType({
    Component.DENOISER: ("unet",),
    Component.VAE_ENCODER: ("vae",),
    Component.VAE_DECODER: ("vae",),
})  # fmt: skip

INPAINT = "inpaint"
"""The denoiser's condition [1 + C, 2 h, w]: mask and latents of the masked person, above no mask and the garment."""

# What CatVTON's authors recommend; a folder's `triptych.json` may say otherwise.
_DEFAULTS = SamplingDefaults(steps=50, guidance_scale=2.5, scheduler="ddim")
_MINIMUM_SIDE = 64
_MAXIMUM_SIDE = 1536
_UNUSUAL = ("class_embed_type", "addition_embed_type", "encoder_hid_dim_type", "time_cond_proj_dim")
_RULE = TryOnRule(
    conditions=(
        TryOnCondition(
            INPAINT,
            person=(TryOnPart.MASK, TryOnPart.PERSON),
            garment=(TryOnPart.NO_MASK, TryOnPart.GARMENT),
        ),
    ),
    stack=StackAxis.HEIGHT,
    dropped=(TryOnPart.GARMENT,),
)


def load_manifest(configs: ConfigFolders, name: str) -> ModelManifest:
    """Describe a pipeline under the name `name`. Raises ManifestError naming what is missing or not supported."""
    unet = configs.read("unet/config.json")
    vae = configs.read("vae/config.json")
    card = read_card(configs)

    channels = int(vae["latent_channels"])
    taken = 2 * channels + 1
    file = configs.find("unet/config.json")
    if int(unet["in_channels"]) != taken:
        raise ManifestError(
            f"{file}: in_channels is {unet['in_channels']}, but latents, mask and masked latents have {taken} channels"
        )
    if int(unet["out_channels"]) != channels:
        raise ManifestError(f"{file}: out_channels is {unet['out_channels']}, but latents have {channels} channels")
    for key in _UNUSUAL:
        if unet.get(key):
            raise ManifestError(f"{file}: {key} is not supported for {FAMILY}")
    downscale = 2 ** (len(vae["block_out_channels"]) - 1)
    width, height = card.default_size(int(unet["sample_size"]) * downscale)

    picture = (channels, LATENT_HEIGHT, LATENT_WIDTH)
    sample = TensorSpec("sample", DType.FP32, picture)
    inpaint = TensorSpec(INPAINT, DType.FP32, (1 + channels, LATENT_HEIGHT, LATENT_WIDTH))
    return ModelManifest(
        name=name,
        family=FAMILY,
        licence=card.licence,
        latent=LatentLayout(
            LatentKind.NCHW, channels, downscale, float(vae["scaling_factor"]), float(vae.get("shift_factor") or 0.0)
        ),
        noise=diffusion_schedule(configs),
        guidance=GuidanceKind.BATCHED,
        size=SizeRule(downscale, _MINIMUM_SIDE, card.maximum_side or _MAXIMUM_SIDE, width, height),
        defaults=card.defaults(_DEFAULTS),
        prompts=(),
        text_encoder=ComponentSignature((), ()),
        denoiser=ComponentSignature(
            (sample, TensorSpec("timestep", DType.FP32, ()), inpaint), (TensorSpec("prediction", DType.FP32, picture),)
        ),
        vae_encoder=vae_encoder(picture),
        vae_decoder=vae_decoder(picture),
        try_on=_RULE,
    )
