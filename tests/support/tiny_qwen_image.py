"""Writes a tiny random Qwen-Image folder: the real architectures, some hundred thousand parameters."""

import json
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

CHANNELS = 4
"""Of the autoencoder's latents; tokens have four times as many."""
TEXT_WIDTH = 32
_SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
)  # fmt: skip
_VOCABULARY = 400
_TEXTS = (
    "Describe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the "
    "objects and background: system user assistant",
    "Describe the key features of the input image (color, shape, size, texture, objects, background), then explain",
    "a red dress and blue jeans, striped, on a person in front of a plain wall",
)


def write_tiny_qwen_image(folder: Path, *, seed: int = 0, side: int = 64) -> Path:
    """A diffusers QwenImagePipeline folder (fp32 safetensors, fast tokenizer); `side`: pixels by default.

    Pictures are 16 pixels a latent cell.
    """
    torch.manual_seed(seed)
    tokenizer = tiny_tokenizer()
    QwenImagePipeline(
        scheduler=tiny_scheduler(),
        vae=tiny_vae(),
        text_encoder=tiny_text_encoder(tokenizer),
        tokenizer=tokenizer,
        transformer=tiny_transformer(),
    ).save_pretrained(folder)
    (folder / "triptych.json").write_text(json.dumps({"default_side": side}), encoding="utf-8")
    return folder


def write_tiny_qwen_image_edit(folder: Path, *, several: bool = True, seed: int = 0, side: int = 64) -> Path:
    """The same as a folder of QwenImageEditPlusPipeline, or of QwenImageEditPipeline, which takes one picture only."""
    write_tiny_qwen_image(folder, seed=seed, side=side)
    Qwen2VLImageProcessorPil(max_pixels=12845056).save_pretrained(folder / "processor")
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index["_class_name"] = "QwenImageEditPlusPipeline" if several else "QwenImageEditPipeline"
    index["processor"] = ["transformers", "Qwen2VLProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def tiny_transformer(
    *, channels: int = CHANNELS, blocks: int = 2, layered: bool = False
) -> QwenImageTransformer2DModel:
    """Its blocks' matrices are large: as they are drawn, words and references would hardly change a picture."""
    transformer = QwenImageTransformer2DModel(
        in_channels=4 * channels,
        out_channels=channels,
        num_layers=blocks,
        attention_head_dim=32,
        num_attention_heads=2,
        joint_attention_dim=TEXT_WIDTH,
        axes_dims_rope=(4, 14, 14),
        use_additional_t_cond=layered,
        use_layer3d_rope=layered,
    )
    with torch.no_grad():
        for name, parameter in transformer.named_parameters():
            if name.startswith("transformer_blocks.") and parameter.dim() == 2:
                parameter.mul_(3.0)
    return transformer


def tiny_vae(*, channels: int = CHANNELS, colours: int = 3) -> AutoencoderKLQwenImage:
    """Its norms' weights are random too: ones would hide a norm that is left out.

    Its encoder's last layer is large: as it is drawn, all pictures would have nearly the same latents.
    """
    vae = AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=channels,
        dim_mult=[1, 2, 2, 2],
        num_res_blocks=1,
        input_channels=colours,
        latents_mean=[-0.7, 0.1, 0.4, -0.2] * (channels // 4),
        latents_std=[2.8, 1.4, 0.6, 1.1] * (channels // 4),
    )
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            if name.endswith("gamma"):
                parameter.uniform_(0.5, 1.5)
        vae.encoder.conv_out.weight.mul_(20.0)
    return vae


def tiny_text_encoder(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in _SPECIAL}
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": TEXT_WIDTH,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "max_position_embeddings": 4096,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]},
                "bos_token_id": ids["<|endoftext|>"],
                "eos_token_id": ids["<|im_end|>"],
            },
            vision_config={
                "depth": 2,
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_heads": 2,
                "out_hidden_size": TEXT_WIDTH,
                "fullatt_block_indexes": [1],
                "window_size": 112,
            },
            image_token_id=ids["<|image_pad|>"],
            video_token_id=ids["<|video_pad|>"],
            vision_start_token_id=ids["<|vision_start|>"],
            vision_end_token_id=ids["<|vision_end|>"],
            tie_word_embeddings=False,
        )
    )


def tiny_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """With the numbers that the published model has."""
    return FlowMatchEulerDiscreteScheduler(
        shift=1.0,
        use_dynamic_shifting=True,
        base_shift=0.5,
        max_shift=0.9,
        base_image_seq_len=256,
        max_image_seq_len=8192,
        shift_terminal=0.02,
        time_shift_type="exponential",
    )


def tiny_tokenizer() -> Qwen2Tokenizer:
    """Qwen2's own, byte by byte, with the merges that a few sentences give."""
    tokenizer = Qwen2Tokenizer(vocab=None, merges=None)
    trained = tokenizer.train_new_from_iterator(_TEXTS, _VOCABULARY - len(_SPECIAL), new_special_tokens=list(_SPECIAL))
    return trained
