"""The layered model, untrained: Qwen-Image-Layered's architecture, small. Every number of its shape is here."""

import torch
from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import QwenImageCausalConv3d, QwenImageRMS_norm
from torch import nn
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

from engine.modules.qwen_image_vae import FlatDecoder, FlatEncoder, Residual

CHANNELS = 16
TEXT_WIDTH = 128
_FIRST_LOG_VARIANCE = -6.0
_RESIDUAL_GAIN = 0.3
_FIRST_GATE = 0.5


def build_vae() -> AutoencoderKLQwenImage:
    """f8: RGBA [B, 4, 1, 128, 128] in -1..1 <-> latents [B, 16, 1, 16, 16]; narrow at full size, which costs most."""
    return AutoencoderKLQwenImage(
        base_dim=16, z_dim=CHANNELS, dim_mult=[1, 2, 4, 4], num_res_blocks=1, input_channels=4
    )


def build_transformer() -> QwenImageTransformer2DModel:
    """Tokens of 2x2 latent cells: frames, then the picture; context [B, N, 128]."""
    transformer = QwenImageTransformer2DModel(
        in_channels=4 * CHANNELS,
        out_channels=CHANNELS,
        num_layers=7,
        attention_head_dim=32,
        num_attention_heads=5,
        joint_attention_dim=TEXT_WIDTH,
        axes_dims_rope=(4, 14, 14),
        use_additional_t_cond=True,
        use_layer3d_rope=True,
    )
    _begin_plainly(transformer)
    return transformer


@torch.no_grad()
def _begin_plainly(transformer: QwenImageTransformer2DModel) -> None:
    """Every block begins as one without modulation, and the whole with a velocity of zero: fewer steps are lost."""
    for name, parameter in transformer.named_parameters():
        if "_mod." in name:
            parameter.zero_()
            if name.endswith("bias"):
                shift_scale_gate = parameter.view(2, 3, -1)
                shift_scale_gate[:, 2] = _FIRST_GATE
        elif name.startswith(("proj_out.", "norm_out.linear.")):
            parameter.zero_()


def build_text_encoder(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    """Two layers that read words; the eyes, which a layered model does not use, are as small as can be."""
    ids = {
        token: tokenizer.convert_tokens_to_ids(token)
        for token in ("<|endoftext|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>")
    }
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": TEXT_WIDTH,
                "intermediate_size": 2 * TEXT_WIDTH,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "max_position_embeddings": 4096,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]},
                "bos_token_id": ids["<|endoftext|>"],
                "eos_token_id": ids["<|im_end|>"],
            },
            vision_config={
                "depth": 1,
                "hidden_size": 32,
                "intermediate_size": 32,
                "num_heads": 2,
                "out_hidden_size": TEXT_WIDTH,
                "fullatt_block_indexes": [0],
                "window_size": 112,
            },
            image_token_id=ids["<|image_pad|>"],
            video_token_id=ids["<|video_pad|>"],
            vision_start_token_id=ids["<|vision_start|>"],
            vision_end_token_id=ids["<|im_end|>"],
            tie_word_embeddings=True,
        )
    )


def build_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Time shifts with the picture's size, as the published model's; with few steps none is spent on the last 2 %."""
    return FlowMatchEulerDiscreteScheduler(
        shift=1.0,
        use_dynamic_shifting=True,
        base_shift=0.5,
        max_shift=0.9,
        base_image_seq_len=256,
        max_image_seq_len=8192,
        time_shift_type="exponential",
    )


class FlatVae(nn.Module):
    """The autoencoder in two dimensions, for training: the slices in time that stills never meet cost nothing.

    Shares all parameters with the `AutoencoderKLQwenImage` it was made from but for the kernels, which `unfold` puts
    back.
    """

    def __init__(self, vae: AutoencoderKLQwenImage) -> None:
        super().__init__()
        self.vae = [vae]  # not a submodule: its kernels are not what is trained
        self.encoder, self.decoder = FlatEncoder(vae), FlatDecoder(vae)
        self._kernels, self._gammas = _kernels(vae, self), _gammas(vae, self)
        self.requires_grad_(requires_grad=True)
        self._begin()

    @torch.no_grad()
    def _begin(self) -> None:
        """Signals as strong after each layer as before it, and little noise in the latents.

        As diffusers draws them, what differs between pictures drowns in the biases, and colours are never learned.
        """
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        for layer in self.modules():
            if isinstance(layer, Residual):
                list(layer.layers.parameters())[-2].mul_(_RESIDUAL_GAIN)
        bias = list(self.encoder.parameters())[-1]
        bias[len(bias) // 2 :] = _FIRST_LOG_VARIANCE

    def encode(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, 4, H, W] -> means and logarithms of variances, each [B, 16, H / 8, W / 8]."""
        mean, log_variance = self.encoder(image).chunk(2, dim=1)
        return mean, log_variance.clamp(-30, 20)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """[B, 16, h, w] -> [B, 4, 8 h, 8 w]."""
        image: torch.Tensor = self.decoder(latents)
        return image

    @torch.no_grad()
    def unfold(self) -> AutoencoderKLQwenImage:
        """The autoencoder with the trained kernels; what would look at earlier frames is zero."""
        for causal, flat in self._kernels:
            kernel = flat.weight.cpu().clone()  # one without time may lie in the same memory
            causal.weight.zero_()
            causal.weight[:, :, -1] = kernel
        for norm, gamma in self._gammas:
            norm.gamma.copy_(gamma.cpu().reshape(norm.gamma.shape))
        (vae,) = self.vae
        return vae


def _kernels(vae: AutoencoderKLQwenImage, flat: nn.Module) -> list[tuple[QwenImageCausalConv3d, nn.Conv2d]]:
    """Each causal convolution that stills meet, and the flat one made from it: they have one bias."""
    flats = {id(layer.bias): layer for layer in flat.modules() if isinstance(layer, nn.Conv2d)}
    causal = [layer for layer in vae.modules() if isinstance(layer, QwenImageCausalConv3d)]
    return [(layer, flats[id(layer.bias)]) for layer in causal if id(layer.bias) in flats]


def _gammas(vae: AutoencoderKLQwenImage, flat: nn.Module) -> list[tuple[QwenImageRMS_norm, nn.Parameter]]:
    """Each norm, and its weights in the flat form: they begin in one place of memory."""
    flats = {parameter.data_ptr(): parameter for parameter in flat.parameters()}
    return [(norm, flats[norm.gamma.data_ptr()]) for norm in vae.modules() if isinstance(norm, QwenImageRMS_norm)]
