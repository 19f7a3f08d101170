"""Writes a tiny random Stable Diffusion 3 folder: the real architectures, some hundred thousand parameters."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram, WordLevel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, PreTrainedTokenizerFast, T5Config, T5EncoderModel

_WORDS = ("a", "red", "blue", "green", "person", "in", "top", "dress", "jeans", "striped", "plain", "dotted")
_CLIP_SPECIAL = ("<|startoftext|>", "<|endoftext|>", "!")
_T5_SPECIAL = ("<pad>", "</s>", "<unk>")
_CLIP_LENGTH = 77
_WIDTHS = (16, 24)
_JOINT = 48


def write_tiny_sd3(folder: Path, *, t5: bool = True, dual: bool = True, seed: int = 0) -> Path:
    """A diffusers StableDiffusion3Pipeline folder; `dual`: dual attention and norms of queries and keys, as in 3.5."""
    torch.manual_seed(seed)
    _transformer(dual).save_pretrained(folder / "transformer")
    _vae().save_pretrained(folder / "vae")
    for number, width in enumerate(_WIDTHS, start=1):
        suffix = "" if number == 1 else f"_{number}"
        _clip(width).save_pretrained(folder / f"text_encoder{suffix}")
        # CLIP-G's tokenizer pads with another token than CLIP-L's.
        _clip_tokenizer(_CLIP_SPECIAL[number]).save_pretrained(folder / f"tokenizer{suffix}")
    if t5:
        _t5().save_pretrained(folder / "text_encoder_3")
        _t5_tokenizer().save_pretrained(folder / "tokenizer_3")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "StableDiffusion3Pipeline",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_3": ["transformers", "T5EncoderModel"] if t5 else [None, None],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "tokenizer_2": ["transformers", "PreTrainedTokenizerFast"],
        "tokenizer_3": ["transformers", "PreTrainedTokenizerFast"] if t5 else [None, None],
        "transformer": ["diffusers", "SD3Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def _transformer(dual: bool) -> SD3Transformer2DModel:
    return SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=_JOINT,
        caption_projection_dim=16,
        pooled_projection_dim=sum(_WIDTHS),
        pos_embed_max_size=12,
        dual_attention_layers=(0,) if dual else (),
        qk_norm="rms_norm" if dual else None,
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        sample_size=64,
        block_out_channels=(8, 8, 8, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        scaling_factor=0.7,
        shift_factor=0.3,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


def _clip(width: int) -> CLIPTextModelWithProjection:
    config = CLIPTextConfig(
        vocab_size=len(_CLIP_SPECIAL) + len(_WORDS),
        hidden_size=width,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=_CLIP_LENGTH,
        projection_dim=width,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return CLIPTextModelWithProjection(config)


def _t5() -> T5EncoderModel:
    config = T5Config(
        vocab_size=len(_T5_SPECIAL) + 2 * len(_WORDS),
        d_model=_JOINT,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    return T5EncoderModel(config)


def _clip_tokenizer(pad: str) -> PreTrainedTokenizerFast:
    vocabulary = {word: index for index, word in enumerate([*_CLIP_SPECIAL, *_WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=_CLIP_SPECIAL[1]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    begin, end = _CLIP_SPECIAL[:2]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, 0), (end, 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=begin,
        eos_token=end,
        unk_token=end,
        pad_token=pad,
        model_max_length=_CLIP_LENGTH,
    )


def _t5_tokenizer() -> PreTrainedTokenizerFast:
    """Pieces with their leading space, as sentencepiece's, and the same words without."""
    pieces = [*_T5_SPECIAL, *(f"\u2581{word}" for word in _WORDS), *_WORDS]
    tokenizer = Tokenizer(Unigram([(piece, -float(rank)) for rank, piece in enumerate(pieces)], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="<pad>", model_max_length=512
    )
