"""FLUX.2-klein's components: latents are 2x2 patches of the autoencoder's, normalised by its statistics."""

import torch
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
from torch import nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle
from transformers import Qwen3Model

from engine.modules.flux2_transformer import Transformer
from engine.modules.pixels import from_pixels, to_pixels
from families.flux2 import HIDDEN_LAYERS

_PATCH = 2
_TIMESTEPS = 1000


class TextEncoder(nn.Module):
    """input_ids int64 [B, N], attention_mask bool [B, N] -> context float32 [B, N, layers * D].

    The hidden states after some layers side by side; padding is given too, for the transformer reads all of it.
    """

    def __init__(self, encoder: Qwen3Model, layers: tuple[int, ...] = HIDDEN_LAYERS) -> None:
        super().__init__()
        if encoder.has_sliding_layers:
            raise ValueError("Qwen3 with sliding windows is not supported")
        encoder.config._attn_implementation = "sdpa"
        del encoder.layers[max(layers) :]  # what comes after the last one that is read
        self.encoder = encoder
        self.layers = layers

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """See the class."""
        encoder = self.encoder
        hidden = encoder.embed_tokens(input_ids)
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        rotation = encoder.rotary_emb(hidden, positions[None])
        earlier = positions[:, None] >= positions[None]
        seen = earlier[None, None] & attention_mask[:, None, None, :]
        states = []
        for done, layer in enumerate(encoder.layers, start=1):
            hidden = layer(hidden, attention_mask=seen, position_embeddings=rotation)
            if done in self.layers:
                states.append(hidden)
        return torch.cat(states, dim=-1)


class Denoiser(nn.Module):
    """sample [B, C, h, w], timestep [B], context [B, N, J], reference [B, R, C] -> prediction [B, C, h, w].

    Timesteps run from 1000 to 0; R may be 0. Rotations, float32, are those of `families.flux2.derive`: of the sample
    [B, h, w, D], of the reference cells [B, R, D] and of the text [B, N, D].
    """

    def __init__(self, transformer: Flux2Transformer2DModel) -> None:
        super().__init__()
        self.transformer = Transformer(transformer)

    def forward(  # noqa: PLR0917 - one parameter an input
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        context: torch.Tensor,
        reference: torch.Tensor,
        latent_cos: torch.Tensor,
        latent_sin: torch.Tensor,
        reference_cos: torch.Tensor,
        reference_sin: torch.Tensor,
        text_cos: torch.Tensor,
        text_sin: torch.Tensor,
    ) -> torch.Tensor:
        """See the class."""
        height, width = sample.shape[2:]
        velocity = self.transformer(
            torch.cat((sample.flatten(2).transpose(1, 2), reference), dim=1),
            timestep / _TIMESTEPS,
            context,
            torch.cat((latent_cos.flatten(1, 2), reference_cos), dim=1),
            torch.cat((latent_sin.flatten(1, 2), reference_sin), dim=1),
            text_cos,
            text_sin,
        )
        prediction: torch.Tensor = velocity[:, : height * width].transpose(1, 2).unflatten(2, (height, width))
        return prediction


class VaeEncoder(nn.Module):
    """pixels uint8 [B, H, W, 3] -> latents float32 [B, 4 * C, H / 16, W / 16]: the posterior's mode, normalised."""

    def __init__(self, vae: AutoencoderKLFlux2) -> None:
        super().__init__()
        self.vae = vae
        self.epsilon = float(vae.config.batch_norm_eps)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """See the class."""
        moments = self.vae.encoder(from_pixels(pixels, self.vae.encoder))
        if self.vae.quant_conv is not None:
            moments = self.vae.quant_conv(moments)
        mean, deviation = _statistics(self.vae, self.epsilon)
        latents: torch.Tensor = (pixel_unshuffle(moments.chunk(2, dim=1)[0], _PATCH) - mean) / deviation
        return latents


class VaeDecoder(nn.Module):
    """latents float32 [B, 4 * C, h, w], as the sampler leaves them -> pixels uint8 [B, 16 * h, 16 * w, 3]."""

    def __init__(self, vae: AutoencoderKLFlux2) -> None:
        super().__init__()
        self.vae = vae
        self.epsilon = float(vae.config.batch_norm_eps)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """See the class."""
        mean, deviation = _statistics(self.vae, self.epsilon)
        image = self.vae.decode(pixel_shuffle(latents * deviation + mean, _PATCH), return_dict=False)[0]
        return to_pixels(image)


def _statistics(vae: AutoencoderKLFlux2, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of patched latents, [1, 4 * C, 1, 1] each."""
    mean, variance = vae.bn.running_mean, vae.bn.running_var
    return mean.view(1, -1, 1, 1), torch.sqrt(variance + epsilon).view(1, -1, 1, 1)
