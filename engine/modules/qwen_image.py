"""Qwen-Image's components: positional tensors in, tensors out, every input with a batch axis."""

import torch
from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
from torch import nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle
from transformers import Qwen2_5_VLModel

from engine.modules.pixels import from_pixels, to_pixels
from engine.modules.qwen_image_transformer import Transformer
from engine.modules.qwen_image_vae import FlatDecoder, FlatEncoder

_PATCH = 2
"""Cells of the VAE along each side of a token."""
_INSTRUCTION = 34
"""Tokens of the template before the user's words: they steer the encoder, the transformer never sees them."""


class TextEncoder(nn.Module):
    """input_ids int64 [B, N], token_mask bool [B, N] -> context float32 [B, N - 34, D], context_mask bool [B, N - 34].

    The language model's last hidden state after its norm, without the template's instruction; zeros where the mask is
    False, which must be at the end of a row.
    """

    def __init__(self, encoder: Qwen2_5_VLModel) -> None:
        super().__init__()
        self.language_model = encoder.language_model  # words alone need no eyes

    def forward(self, input_ids: torch.Tensor, token_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        # Attention is causal and padding comes last, so no token that counts ever sees any: no mask is needed.
        hidden = self.language_model(input_ids=input_ids, use_cache=False).last_hidden_state
        mask = token_mask[:, _INSTRUCTION:]
        return hidden[:, _INSTRUCTION:] * mask.unsqueeze(-1), mask


class Denoiser(nn.Module):
    """sample float32 [B, 64, h, w], timestep float32 [B] in 0..1000, context float32 [B, N, D], context_mask bool
    [B, N] and the rotations of `families.qwen_image.derive` -> velocity [B, 64, h, w].
    """

    def __init__(self, transformer: QwenImageTransformer2DModel) -> None:
        super().__init__()
        self.transformer = Transformer(transformer)

    def forward(  # noqa: PLR0917 - one parameter an input
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        context: torch.Tensor,
        context_mask: torch.Tensor,
        latent_cos: torch.Tensor,
        latent_sin: torch.Tensor,
        text_cos: torch.Tensor,
        text_sin: torch.Tensor,
    ) -> torch.Tensor:
        """See the class."""
        tokens = sample.flatten(2).transpose(1, 2)
        rotations = (latent_cos.flatten(1, 2), latent_sin.flatten(1, 2), text_cos, text_sin)
        velocity: torch.Tensor = self.transformer(tokens, timestep / 1000, context, context_mask, *rotations)
        return velocity.transpose(1, 2).reshape(sample.shape)


class VaeEncoder(nn.Module):
    """pixels uint8 [B, H, W, 3], or 4 with alpha -> latents float32 [B, 64, H / 16, W / 16] as the sampler wants them:
    the posterior's mode, normalised channel by channel.
    """

    def __init__(self, vae: AutoencoderKLQwenImage) -> None:
        super().__init__()
        self.encoder = FlatEncoder(vae)
        self.mean, self.std = _statistics(vae)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """See the class."""
        image = from_pixels(pixels, self.encoder)
        mode = self.encoder(image).chunk(2, dim=1)[0]
        return pixel_unshuffle((mode - self.mean) / self.std, _PATCH)


class VaeDecoder(nn.Module):
    """latents float32 [B, 64, h, w], as the sampler leaves them -> pixels uint8 [B, 16 h, 16 w, 3 or 4]."""

    def __init__(self, vae: AutoencoderKLQwenImage) -> None:
        super().__init__()
        self.decoder = FlatDecoder(vae)
        self.mean, self.std = _statistics(vae)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """See the class."""
        image = self.decoder(pixel_shuffle(latents, _PATCH) * self.std + self.mean)
        return to_pixels(image)


def _statistics(vae: AutoencoderKLQwenImage) -> tuple[nn.Buffer, nn.Buffer]:
    """Mean and standard deviation of each latent channel, float32 [1, C, 1, 1]."""
    mean, std = (
        nn.Buffer(torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1), persistent=False)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return mean, std
