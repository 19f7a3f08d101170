"""The architectures, untrained. Every number that shapes the exported weights is here."""

from dataclasses import dataclass

from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

IMAGE_SIZE = 128
LATENT_CHANNELS = 8
LATENT_SIZE = IMAGE_SIZE // 8
TEXT_LENGTH = 64
TEXT_WIDTH = 192
# Latents are trained to this standard deviation, so that code which forgets the scaling factor is seen to fail.
LATENT_STD = 2.0


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the text encoder must know of the tokenizer."""

    size: int
    bos: int
    eos: int
    pad: int


def build_vae() -> AutoencoderKL:
    """f8: RGB [B, 3, 128, 128] in -1..1 <-> latents [B, 8, 16, 16]. Narrow at full size, where the time goes."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 96),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
        scaling_factor=1 / LATENT_STD,
    )


def build_unet() -> UNet2DConditionModel:
    """Latents [B, 8, 16, 16], timesteps [B], text [B, 64, 192] -> v [B, 8, 16, 16].

    Attention only at 8x8 and 4x4: at 16x16 it costs more time than all convolutions together.
    """
    return UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(80, 160, 160),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        # diffusers reads this as the number of heads (of 32 channels each)
        attention_head_dim=(2, 5, 5),
        norm_num_groups=16,
    )


def build_text_encoder(vocabulary: Vocabulary) -> CLIPTextModel:
    """Token ids int64 [B, 64] -> states [B, 64, 192]; causal, as CLIP is."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary.size,
            hidden_size=TEXT_WIDTH,
            intermediate_size=TEXT_WIDTH * 4,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=6,
            max_position_embeddings=TEXT_LENGTH,
            hidden_act="quick_gelu",
            bos_token_id=vocabulary.bos,
            eos_token_id=vocabulary.eos,
            pad_token_id=vocabulary.pad,
        )
    )


def build_scheduler() -> DDIMScheduler:
    """The noise schedule; its config loads into every diffusers scheduler.

    betas end at 0.02 rather than Stable Diffusion's 0.012: with more noise at the last step a plain background
    is not pulled to mid-grey, and no zero-SNR rescale is needed, which LMS, Heun and PNDM could not follow.
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.02,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="trailing",
    )
