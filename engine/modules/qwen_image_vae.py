"""Qwen-Image's autoencoder for still pictures: its causal 3D convolutions as the 2D ones that they are for one frame.

Before the first frame there are only zeros, so of a kernel's slices in time the last alone ever counts, and what
resamples time does nothing.
"""

import torch
from diffusers import AutoencoderKLQwenImage
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import (
    QwenImageAttentionBlock,
    QwenImageCausalConv3d,
    QwenImageMidBlock,
    QwenImageResample,
    QwenImageResidualBlock,
    QwenImageRMS_norm,
)
from torch import nn
from torch.nn import functional


class FlatEncoder(nn.Module):
    """image float32 [B, C, H, W] in -1..1 -> moments [B, 2 Z, H / 8, W / 8]: means, then logarithms of variances."""

    def __init__(self, vae: AutoencoderKLQwenImage) -> None:
        super().__init__()
        encoder = vae.encoder
        self.layers = nn.Sequential(
            flat_convolution(encoder.conv_in),
            *(_flat(block) for block in encoder.down_blocks),
            _middle(encoder.mid_block),
            _Norm(encoder.norm_out),
            nn.SiLU(),
            flat_convolution(encoder.conv_out),
            flat_convolution(vae.quant_conv),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """See the class."""
        moments: torch.Tensor = self.layers(image)
        return moments


class FlatDecoder(nn.Module):
    """latents float32 [B, Z, h, w] as the encoder's means are -> image [B, C, 8 h, 8 w], of which -1..1 counts."""

    def __init__(self, vae: AutoencoderKLQwenImage) -> None:
        super().__init__()
        decoder = vae.decoder
        blocks = [layer for block in decoder.up_blocks for layer in (*block.resnets, *(block.upsamplers or ()))]
        self.layers = nn.Sequential(
            flat_convolution(vae.post_quant_conv),
            flat_convolution(decoder.conv_in),
            _middle(decoder.mid_block),
            *(_flat(block) for block in blocks),
            _Norm(decoder.norm_out),
            nn.SiLU(),
            flat_convolution(decoder.conv_out),
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """See the class."""
        image: torch.Tensor = self.layers(latents)
        return image


def flat_convolution(causal: QwenImageCausalConv3d) -> nn.Conv2d:
    """The 2D convolution that a causal 3D one is on the first frame."""
    left, _, top, _, _, _ = causal._padding
    made = nn.Conv2d(
        causal.in_channels, causal.out_channels, causal.kernel_size[1:], causal.stride[1:], (top, left), device="meta"
    )
    made.weight = nn.Parameter(causal.weight[:, :, -1].contiguous(), requires_grad=False)
    made.bias = causal.bias
    return made


def _flat(block: nn.Module) -> nn.Module:
    """One block of the encoder or decoder for [B, C, h, w]."""
    match block:
        case QwenImageResidualBlock():
            return Residual(block)
        case QwenImageAttentionBlock():
            return _Attention(block)
        case QwenImageResample():
            resample: nn.Module = block.resample  # 2D already; the rest of it resamples time
            return resample
    raise TypeError(f"{type(block).__name__} is no block of Qwen-Image's autoencoder")


def _middle(block: QwenImageMidBlock) -> nn.Sequential:
    """A residual block, then pairs of attention and another one."""
    pairs = [layer for pair in zip(block.attentions, block.resnets[1:], strict=True) for layer in pair]
    return nn.Sequential(*(_flat(layer) for layer in (block.resnets[0], *pairs)))


class _Norm(nn.Module):
    """Each cell's channels to a norm of sqrt(C), then weighed channel by channel."""

    def __init__(self, norm: QwenImageRMS_norm) -> None:
        super().__init__()
        self.scale = norm.scale
        self.weight = nn.Parameter(norm.gamma.reshape(1, -1, 1, 1), requires_grad=False)

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """[B, C, h, w] -> the same; half precision could not hold the sum of squares."""
        wide = cells.float() if cells.dtype in (torch.float16, torch.bfloat16) else cells
        normed: torch.Tensor = functional.normalize(wide, dim=1).to(cells.dtype) * self.scale * self.weight
        return normed


class Residual(nn.Module):
    """Two convolutions beside a shortcut: [B, C, h, w] -> [B, D, h, w]."""

    def __init__(self, block: QwenImageResidualBlock) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _Norm(block.norm1), nn.SiLU(), flat_convolution(block.conv1),
            _Norm(block.norm2), nn.SiLU(), flat_convolution(block.conv2),
        )  # fmt: skip
        shortcut = block.conv_shortcut
        self.shortcut = flat_convolution(shortcut) if isinstance(shortcut, QwenImageCausalConv3d) else nn.Identity()

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """See the class."""
        added: torch.Tensor = self.layers(cells) + self.shortcut(cells)
        return added


class _Attention(nn.Module):
    """Every cell attends to all of its picture, with one head: [B, C, h, w] -> the same."""

    def __init__(self, block: QwenImageAttentionBlock) -> None:
        super().__init__()
        self.norm = _Norm(block.norm)
        self.to_qkv = block.to_qkv
        self.proj = block.proj

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        """See the class."""
        joint = self.to_qkv(self.norm(cells)).flatten(2).transpose(1, 2).unsqueeze(1)
        query, key, value = joint.chunk(3, dim=-1)
        attended = functional.scaled_dot_product_attention(query, key, value)
        added: torch.Tensor = self.proj(attended.squeeze(1).transpose(1, 2).reshape(cells.shape)) + cells
        return added
