"""Writes a tiny random FLUX.2-klein folder: the real architectures, some hundred thousand parameters."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel
from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import Qwen3Config, Qwen3ForCausalLM

_HIDDEN, _LATENTS, _CHANNELS = 16, 4, 16
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
_VOCABULARY = 300
# As much of Qwen3's chat template as one user's message meets.
_CHAT = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)


def write_tiny_flux2(folder: Path, *, distilled: bool = True, seed: int = 0, side: int = 64) -> Path:
    """A diffusers Flux2KleinPipeline folder (fp32 safetensors, byte-level tokenizer); `side`: pixels by default."""
    torch.manual_seed(seed)
    _transformer().save_pretrained(folder / "transformer")
    _vae().save_pretrained(folder / "vae")
    _text_encoder().save_pretrained(folder / "text_encoder")
    FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True).save_pretrained(folder / "scheduler")
    _write_tokenizer(folder / "tokenizer")
    index = {
        "_class_name": "Flux2KleinPipeline",
        "is_distilled": distilled,
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen3ForCausalLM"],
        "tokenizer": ["transformers", "Qwen2TokenizerFast"],
        "transformer": ["diffusers", "Flux2Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLFlux2"],
    }
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "triptych.json").write_text(json.dumps({"default_side": side}), encoding="utf-8")
    return folder


def _transformer() -> Flux2Transformer2DModel:
    """Its blocks' matrices are large: as they are drawn, words and references would hardly change a picture."""
    transformer = Flux2Transformer2DModel(
        in_channels=_CHANNELS,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * _HIDDEN,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    with torch.no_grad():
        for name, parameter in transformer.named_parameters():
            if "transformer_blocks." in name and parameter.dim() == 2:
                parameter.mul_(6.0)
    return transformer


def _vae() -> AutoencoderKLFlux2:
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 8, 8, 16),
        layers_per_block=1,
        latent_channels=_LATENTS,
        norm_num_groups=8,
        sample_size=64,
    )
    # Statistics that no channel shares: an order of channels that is wrong shows.
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2.0)
    return vae


def _text_encoder() -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=_VOCABULARY,
        hidden_size=_HIDDEN,
        intermediate_size=32,
        num_hidden_layers=30,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM(config)


def _write_tokenizer(folder: Path) -> None:
    """Bytes and a few merges, split as Qwen's is."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=_VOCABULARY,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=list(_SPECIAL),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["a person in a red striped dress on a blue background"] * 4, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": _SPECIAL[2],
        "pad_token": _SPECIAL[0],
        "model_max_length": 131072,
        "chat_template": _CHAT,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
