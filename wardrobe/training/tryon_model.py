"""The try-on models, untrained: an autoencoder of small cells, and a denoiser shaped as CatVTON's."""

from pathlib import Path
from typing import TypeGuard

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.resnet import ResnetBlock2D
from torch import nn

from engine.modules.catvton import without_cross_attention
from wardrobe.training.models import IMAGE_SIZE, LATENT_STD, build_scheduler

WARDROBE = Path(__file__).parents[1] / "weights" / "wardrobe"
LATENT_CHANNELS = 8
LATENT_SIZE = IMAGE_SIZE // 4
INPUT_CHANNELS = LATENT_CHANNELS + 1 + LATENT_CHANNELS  # noisy latent, mask, masked picture
_RESIDUAL_GAIN = 0.3
_FIRST_LOG_VARIANCE = -6.0
_LATENT_LAYERS = ("conv_in.", "conv_out.")
_TEXT_NORM = ".transformer_blocks.0.norm2."  # of what a model that reads text adds


def build_tryon_vae() -> AutoencoderKL:
    """f4: RGB [B, 3, 128, 128] in -1..1 <-> latents [B, 8, 32, 32]; narrow at full size, where the time goes.

    Signals begin as strong after each layer as before it, and latents with little noise: as diffusers draws the
    weights, the first thousand steps are lost.
    """
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 48, 96),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
        scaling_factor=1 / LATENT_STD,
        mid_block_add_attention=False,
    )
    _begin_strongly(vae)
    return vae


@torch.no_grad()
def _begin_strongly(vae: AutoencoderKL) -> None:
    for layer in vae.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    for layer in vae.modules():
        if isinstance(layer, ResnetBlock2D):
            layer.conv2.weight.mul_(_RESIDUAL_GAIN)
    vae.decoder.conv_out.weight.mul_(_RESIDUAL_GAIN)
    vae.quant_conv.weight[LATENT_CHANNELS:].mul_(0.1)
    vae.quant_conv.bias[LATENT_CHANNELS:] = _FIRST_LOG_VARIANCE


def build_tryon_unet() -> UNet2DConditionModel:
    """Latents, mask and masked latents [B, 17, 64, 32], timesteps [B] -> v [B, 8, 64, 32]; no text.

    The person's half is above, the garment's below; attention carries the garment up, at 16x8 cells alone: finer, it
    costs more time than all convolutions together.
    """
    unet = UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=INPUT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(48, 80, 160),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 2, 5),  # diffusers reads this as the number of heads
        norm_num_groups=16,
        cross_attention_dim=1,  # nothing reads it
        time_embedding_dim=320,
    )
    drop_text_attention(unet)
    # plain matrix products: on CPUs the fused attention kernel is several times slower at these small sizes
    unet.set_attn_processor(AttnProcessor())
    return unet


def build_tryon_scheduler() -> DDIMScheduler:
    """The wardrobe's noise levels; the last step leaves the guess as it is, which is what the decoder learned from."""
    scheduler: DDIMScheduler = DDIMScheduler.from_config(build_scheduler().config, set_alpha_to_one=True)
    return scheduler


def given_planes(mask: torch.Tensor, masked: torch.Tensor, garment: torch.Tensor) -> torch.Tensor:
    """What stands beside the noisy latents, [B, 9, 64, 32]: above mask [B, 1, 32, 32] and masked person
    [B, 8, 32, 32], below no mask and the garment [B, 8, 32, 32].
    """
    return torch.cat([torch.cat([mask, torch.zeros_like(mask)], dim=2), torch.cat([masked, garment], dim=2)], dim=1)


@torch.no_grad()
def drop_text_attention(unet: UNet2DConditionModel) -> None:
    """Each block adds norm2(h) to h where a text model adds what it read; norm2 starts at zero, so it adds nothing."""
    without_cross_attention(unet)
    for name, module in unet.named_modules():
        if name.endswith("norm2") and isinstance(module, nn.LayerNorm):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)


@torch.no_grad()
def start_from(unet: UNet2DConditionModel, folder: Path) -> int:
    """Take over the weights of another UNet's upper levels below one new one; how many numbers that were.

    What has another shape here, the new level and the layers that read and write latents, stays as it was drawn.
    """
    source = UNet2DConditionModel.from_pretrained(folder, torch_dtype=torch.float32)
    tensors, target = source.state_dict(), unet.state_dict()
    missing = len(source.config.block_out_channels) - len(unet.config.block_out_channels) + 1
    left = _LATENT_LAYERS if source.config.cross_attention_dim == 1 else (*_LATENT_LAYERS, _TEXT_NORM)
    names = [name for name in target if not any(part in name for part in left)]
    taken = {name: tensors.get(_name_below(name, missing)) for name in names}
    fitting = {name: tensor for name, tensor in taken.items() if _fits(tensor, target[name])}
    unet.load_state_dict({**target, **fitting})
    return sum(tensor.numel() for tensor in fitting.values())


def _fits(tensor: torch.Tensor | None, target: torch.Tensor) -> TypeGuard[torch.Tensor]:
    return tensor is not None and tensor.shape == target.shape


def _name_below(name: str, missing: int) -> str:
    """Its name in a UNet that has one level less above, and `missing` more below."""
    kind, number, rest = (*name.split(".", 2), "", "")[:3]
    shift = {"down_blocks": -1, "up_blocks": missing}.get(kind)
    return name if shift is None else f"{kind}.{int(number) + shift}.{rest}"
