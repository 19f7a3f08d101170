"""The try-on denoiser: the wardrobe UNet without its lowest level, shaped as CatVTON's."""

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

from engine.modules.catvton import without_cross_attention
from wardrobe.training.models import LATENT_CHANNELS, LATENT_SIZE

WARDROBE = Path(__file__).parents[1] / "weights" / "wardrobe"
INPUT_CHANNELS = LATENT_CHANNELS + 1 + LATENT_CHANNELS  # noisy latent, mask, masked picture


def build_tryon_unet() -> UNet2DConditionModel:
    """Latents, mask and masked latents [B, 17, 32, 16], timesteps [B] -> v [B, 8, 32, 16]; no text.

    The person's half is above, the garment's below; attention carries the garment up. Two levels and one block
    between them: the wardrobe UNet's third level and its other middle blocks take 45 % of its weights.
    """
    unet = UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=INPUT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(80, 160),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 5),  # diffusers reads this as the number of heads
        norm_num_groups=16,
        cross_attention_dim=1,  # nothing reads it
    )
    drop_text_attention(unet)
    # plain matrix products: on CPUs the fused attention kernel is several times slower at these small sizes
    unet.set_attn_processor(AttnProcessor())
    return unet


@torch.no_grad()
def drop_text_attention(unet: UNet2DConditionModel) -> None:
    """Each block adds norm2(h) to h where a text model adds what it read; norm2 starts at zero, so it adds nothing."""
    without_cross_attention(unet)
    for name, module in unet.named_modules():
        if name.endswith("norm2") and isinstance(module, nn.LayerNorm):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)


@torch.no_grad()
def start_from_wardrobe(unet: UNet2DConditionModel, weights: Path = WARDROBE) -> None:
    """Take over the wardrobe UNet's weights but those of its lowest level; new input channels start at zero."""
    source = UNet2DConditionModel.from_pretrained(weights / "unet", torch_dtype=torch.float32).state_dict()
    target = unet.state_dict()
    taken = {}
    for name, tensor in target.items():
        if name == "conv_in.weight":
            taken[name] = torch.zeros_like(tensor)
            taken[name][:, :LATENT_CHANNELS] = source[name]
        elif ".transformer_blocks.0.norm2." in name:
            taken[name] = tensor
        else:
            taken[name] = source[_name_in_wardrobe(name)]
    unet.load_state_dict(taken)


def _name_in_wardrobe(name: str) -> str:
    """Its up blocks count from the level that is missing here."""
    if not name.startswith("up_blocks."):
        return name
    _, number, rest = name.split(".", 2)
    return f"up_blocks.{int(number) + 1}.{rest}"
