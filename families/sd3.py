"""Stable Diffusion 3 and 3.5: two CLIP text encoders and T5, a transformer on 16-channel latents, flow matching.

T5 is most of the text's weight and may be left out: a pipeline without it is a family of its own, whose transformer
reads zeros in T5's place. Reads the JSON files of a diffusers pipeline; no weights are opened.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from families.card import read_card
from families.clip import clip_prompt_rule
from families.errors import ManifestError
from families.flow import flow_schedule
from families.manifest import (
    Component,
    GuidanceKind,
    LatentKind,
    LatentLayout,
    ModelManifest,
    MuRule,
    PromptRule,
    SamplingDefaults,
    SizeRule,
)
from families.schedulers import SchedulerName
from families.sources.configs import ConfigFolders
from families.special_tokens import TokenizerFiles
from families.tensors import ComponentSignature, DType, TensorSpec
from families.vae import vae_decoder, vae_encoder

FAMILY = "stable-diffusion-3"
FAMILY_WITHOUT_T5 = "stable-diffusion-3-clip"
PIPELINE_CLASSES = frozenset({"StableDiffusion3Pipeline"})
_CLIP, _T5 = ("text_encoder", "text_encoder_2"), "text_encoder_3"
PARTS_WITHOUT_T5: Mapping[Component, tuple[str, ...]] = MappingProxyType({
    Component.TEXT_ENCODER: _CLIP,
    Component.DENOISER: ("transformer",),
    Component.VAE_ENCODER: ("vae",),
    Component.VAE_DECODER: ("vae",),
})  # fmt: skip
"""diffusers' folders of each component."""
PARTS: Mapping[Component, tuple[str, ...]] = MappingProxyType(
    {**PARTS_WITHOUT_T5, Component.TEXT_ENCODER: (*_CLIP, _T5)}
)

T5_LENGTH = 256
"""Tokens that T5 reads, and zeros that stand for them without it."""

_STEPS = 28
_GUIDANCE, _GUIDANCE_35 = 7.0, 4.5
_MINIMUM_SIDE, _MAXIMUM_SIDE = 64, 2048


def load_manifest(configs: ConfigFolders, name: str) -> ModelManifest:
    """Describe a pipeline under the name `name`. Raises ManifestError naming what is missing or does not fit."""
    transformer, vae = configs.read("transformer/config.json"), configs.read("vae/config.json")
    clips = tuple(configs.read(f"{part}/config.json") for part in _CLIP)
    card = read_card(configs)
    with_t5 = _has_t5(configs)
    t5 = configs.read(f"{_T5}/config.json") if with_t5 else None
    _check(configs, transformer, vae, clips, t5)

    channels, patch = int(transformer["in_channels"]), int(transformer["patch_size"])
    downscale = 2 ** (len(vae["block_out_channels"]) - 1)
    side = card.default_side or int(transformer["sample_size"]) * downscale
    covered = int(transformer["pos_embed_max_size"]) * patch * downscale
    prompts = _prompt_rules(configs, clips, with_t5)
    length = prompts[-1].length + (T5_LENGTH if with_t5 else 0)
    width = int(transformer["joint_attention_dim"]) if with_t5 else _sum(clips, "hidden_size")
    pooled = TensorSpec("pooled", DType.FP32, (int(transformer["pooled_projection_dim"]),))
    latent = (channels, "latent_height", "latent_width")
    guidance = _GUIDANCE_35 if transformer.get("qk_norm") else _GUIDANCE
    return ModelManifest(
        name=name,
        family=FAMILY if with_t5 else FAMILY_WITHOUT_T5,
        licence=card.licence,
        latent=LatentLayout(
            LatentKind.NCHW, channels, downscale, float(vae["scaling_factor"]), float(vae.get("shift_factor") or 0.0)
        ),
        noise=flow_schedule(configs, MuRule.LINEAR, linear_sigmas=False, patch=patch),
        guidance=GuidanceKind.BATCHED,
        size=SizeRule(downscale * patch, _MINIMUM_SIDE, min(card.maximum_side or _MAXIMUM_SIDE, covered), side, side),
        defaults=card.defaults(SamplingDefaults(_STEPS, guidance, SchedulerName.FLOW_MATCH_EULER.value)),
        prompts=prompts,
        text_encoder=ComponentSignature(
            tuple(TensorSpec(rule.input, DType.INT64, (rule.length,)) for rule in prompts),
            (TensorSpec("context", DType.FP32, (length, width)), pooled),
        ),
        denoiser=ComponentSignature(
            (
                TensorSpec("sample", DType.FP32, latent),
                TensorSpec("timestep", DType.FP32, ()),
                TensorSpec("context", DType.FP32, ("text_length", width)),
                pooled,
            ),
            (TensorSpec("prediction", DType.FP32, latent),),
        ),
        vae_encoder=vae_encoder(latent),
        vae_decoder=vae_decoder(latent),
    )


def _has_t5(configs: ConfigFolders) -> bool:
    """Whether the pipeline names a third text encoder; diffusers writes [null, null] for one that was left out."""
    entry = configs.read("model_index.json").get(_T5)
    return isinstance(entry, list) and bool(entry) and entry[0] is not None


def _prompt_rules(configs: ConfigFolders, clips: tuple[dict[str, Any], ...], with_t5: bool) -> tuple[PromptRule, ...]:
    """T5's first, for it reads the most; CLIP's prompts are cut and not read in pieces, as the reference does."""
    rules = [
        replace(clip_prompt_rule(TokenizerFiles(configs, folder), text, name), chunked=False)
        for folder, text, name in zip(("tokenizer", "tokenizer_2"), clips, ("input_ids", "input_ids_2"), strict=True)
    ]
    if not with_t5:
        return tuple(rules)
    tokenizer = TokenizerFiles(configs, "tokenizer_3")
    end, pad = tokenizer.token_ids("eos_token", "pad_token")
    if end is None or pad is None:
        where = configs.find("tokenizer_3/tokenizer_config.json")
        raise ManifestError(f"{where}: eos_token and pad_token must be tokens of the tokenizer")
    return (PromptRule(T5_LENGTH, None, end, pad, input="input_ids_3", file=tokenizer.file), *rules)


def _check(
    configs: ConfigFolders,
    transformer: dict[str, Any],
    vae: dict[str, Any],
    clips: tuple[dict[str, Any], ...],
    t5: dict[str, Any] | None,
) -> None:
    """What the numbers of the parts must have in common."""
    width, length = int(transformer["joint_attention_dim"]), clips[0]["max_position_embeddings"]
    rules = (
        ("transformer", "pooled_projection_dim", transformer["pooled_projection_dim"], _sum(clips, "projection_dim")),
        ("transformer", "joint_attention_dim", width, max(width, _sum(clips, "hidden_size"))),
        ("text_encoder_2", "max_position_embeddings", clips[1]["max_position_embeddings"], length),
        (_T5, "d_model", width if t5 is None else t5["d_model"], width),
        ("vae", "latent_channels", vae["latent_channels"], transformer["in_channels"]),
    )
    for part, key, found, fits in rules:
        if found != fits:
            raise ManifestError(f"{configs.find(f'{part}/config.json')}: {key} must be {fits}, got {found}")


def _sum(configs: tuple[dict[str, Any], ...], key: str) -> int:
    return sum(int(config[key]) for config in configs)
