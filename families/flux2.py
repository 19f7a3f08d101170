"""FLUX.2-klein: Qwen3's inner hidden states, a transformer over 2x2 patches, reference pictures as appended tokens.

Reads the JSON files of a diffusers pipeline; no weights are opened.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from families.card import read_card
from families.derived import Layout
from families.errors import ManifestError
from families.flow import flow_schedule
from families.manifest import (
    REFERENCE,
    Component,
    GuidanceKind,
    LatentKind,
    LatentLayout,
    ModelManifest,
    MuRule,
    PromptRule,
    ReferenceRule,
    SamplingDefaults,
    SizeRule,
)
from families.schedulers import SchedulerName
from families.sources.configs import ConfigFolders
from families.special_tokens import TokenizerFiles
from families.tensors import ComponentSignature, DType, NamedTensor, TensorSpec
from families.vae import vae_decoder, vae_encoder

FAMILY = "flux2"
PIPELINE_CLASSES = frozenset({"Flux2KleinPipeline"})
PARTS: Mapping[Component, tuple[str, ...]] = MappingProxyType({
    Component.TEXT_ENCODER: ("text_encoder",),
    Component.DENOISER: ("transformer",),
    Component.VAE_ENCODER: ("vae",),
    Component.VAE_DECODER: ("vae",),
})  # fmt: skip
"""diffusers' folders of each component."""

HIDDEN_LAYERS = (9, 18, 27)
"""The layers of the text encoder whose hidden states, side by side, are the context."""

_PROMPT_LENGTH = 512
# What Qwen3's chat template makes of one user's message when it is to answer without thinking.
_TEMPLATE = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
_PATCH = 2
_AXES = 4
_THETA = 2000
_REFERENCE_STEP = 10
"""Reference picture i lies at the time (i + 1) * 10; the picture itself at 0."""
_REFERENCES = ReferenceRule(most=4, area=1024 * 1024)
_SIDE, _MINIMUM_SIDE, _MAXIMUM_SIDE = 1024, 64, 2048
_DISTILLED = SamplingDefaults(steps=4, guidance_scale=1.0, scheduler=SchedulerName.FLOW_MATCH_EULER.value)
_BASE = SamplingDefaults(steps=50, guidance_scale=4.0, scheduler=SchedulerName.FLOW_MATCH_EULER.value)


def load_manifest(configs: ConfigFolders, name: str) -> ModelManifest:
    """Describe a pipeline under the name `name`. Raises ManifestError naming what is missing or does not fit."""
    transformer = configs.read("transformer/config.json")
    vae = configs.read("vae/config.json")
    text = configs.read("text_encoder/config.json")
    distilled = bool(configs.read("model_index.json").get("is_distilled", False))
    card = read_card(configs)
    channels, width = int(transformer["in_channels"]), int(transformer["joint_attention_dim"])
    _check(configs, transformer, vae, text)

    downscale = _PATCH * 2 ** (len(vae["block_out_channels"]) - 1)
    side = card.default_side or _SIDE
    latent = (channels, "latent_height", "latent_width")
    return ModelManifest(
        name=name,
        family=FAMILY,
        licence=card.licence,
        latent=LatentLayout(LatentKind.NCHW, channels, downscale, scaling_factor=1.0, shift_factor=0.0),
        noise=flow_schedule(configs, MuRule.EMPIRICAL, linear_sigmas=True),
        guidance=GuidanceKind.NONE if distilled else GuidanceKind.BATCHED,
        size=SizeRule(downscale, _MINIMUM_SIDE, card.maximum_side or _MAXIMUM_SIDE, side, side),
        defaults=card.defaults(_DISTILLED if distilled else _BASE),
        prompts=(_prompt_rule(configs),),
        text_encoder=ComponentSignature(
            (
                TensorSpec("input_ids", DType.INT64, (_PROMPT_LENGTH,)),
                TensorSpec("attention_mask", DType.BOOL, (_PROMPT_LENGTH,)),
            ),
            (TensorSpec("context", DType.FP32, (_PROMPT_LENGTH, width)),),
        ),
        denoiser=ComponentSignature(
            (
                TensorSpec("sample", DType.FP32, latent),
                TensorSpec("timestep", DType.FP32, ()),
                TensorSpec("context", DType.FP32, ("text_length", width)),
                TensorSpec(REFERENCE, DType.FP32, ("reference_length", channels)),
                *_rotations(int(transformer["attention_head_dim"])),
            ),
            (TensorSpec("prediction", DType.FP32, latent),),
        ),
        vae_encoder=vae_encoder(latent),
        vae_decoder=vae_decoder(latent),
        references=_REFERENCES,
    )


def derive(manifest: ModelManifest, layout: Layout) -> tuple[NamedTensor, ...]:
    """Cosines and sines of every token's position (time, row, column, place in the text), as the reference has them."""
    half = int(manifest.denoiser.inputs[-1].dims[-1]) // _AXES
    picture = _grid(0, layout.latent_height, layout.latent_width)
    references = [
        _grid((order + 1) * _REFERENCE_STEP, height, width).reshape(-1, _AXES)
        for order, (height, width) in enumerate(layout.references)
    ]
    appended = np.concatenate([np.zeros((0, _AXES)), *references])
    text = np.zeros((layout.text_length, _AXES))
    text[:, 3] = np.arange(layout.text_length)
    tensors = []
    for name, positions in (("latent", picture), (REFERENCE, appended), ("text", text)):
        angles = _angles(positions, half)
        tensors.append(NamedTensor(f"{name}_cos", np.cos(angles).astype(np.float32)[None]))
        tensors.append(NamedTensor(f"{name}_sin", np.sin(angles).astype(np.float32)[None]))
    return tuple(tensors)


def _grid(time: int, height: int, width: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Positions [height, width, 4] of one picture's cells."""
    positions = np.zeros((height, width, _AXES))
    positions[..., 0] = time
    positions[..., 1] = np.arange(height)[:, None]
    positions[..., 2] = np.arange(width)
    return positions


def _angles(positions: np.ndarray[Any, np.dtype[np.float64]], half: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[..., 4] -> [..., 4 * half]: every axis turns its own part of a head's channels."""
    frequencies = 1.0 / _THETA ** (np.arange(half, dtype=np.float64) / half)
    return (positions[..., None] * frequencies).reshape(*positions.shape[:-1], _AXES * half)


def _rotations(head: int) -> tuple[TensorSpec, ...]:
    places: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("latent", ("latent_height", "latent_width")),
        (REFERENCE, ("reference_length",)),
        ("text", ("text_length",)),
    )
    return tuple(
        TensorSpec(f"{name}_{part}", DType.FP32, (*dims, head // 2)) for name, dims in places for part in ("cos", "sin")
    )


def _prompt_rule(configs: ConfigFolders) -> PromptRule:
    tokenizer = TokenizerFiles(configs, "tokenizer")
    side = tokenizer.declared().get("padding_side", "right")
    (pad,) = tokenizer.token_ids("pad_token")
    if side != "right" or pad is None:
        what = (
            f"padding_side {side!r} is not supported" if side != "right" else "pad_token is no token of the tokenizer"
        )
        raise ManifestError(f"{configs.find('tokenizer/tokenizer_config.json')}: {what}")
    return PromptRule(
        length=_PROMPT_LENGTH,
        begin_id=None,
        end_id=None,
        pad_id=pad,
        mask="attention_mask",
        file=tokenizer.file,
        template=_TEMPLATE,
    )


def _check(configs: ConfigFolders, transformer: dict[str, Any], vae: dict[str, Any], text: dict[str, Any]) -> None:
    """What the numbers of the three must have in common, and what the family's code takes for granted."""
    head, channels = int(transformer["attention_head_dim"]), int(transformer["in_channels"])
    layers, wanted = int(text["num_hidden_layers"]), int(transformer["joint_attention_dim"])
    quarters = [head // _AXES] * _AXES
    rules = (
        ("transformer", "guidance_embeds", transformer.get("guidance_embeds", True), False),
        ("transformer", "axes_dims_rope", list(transformer.get("axes_dims_rope", quarters)), quarters),
        ("transformer", "rope_theta", transformer.get("rope_theta", _THETA), _THETA),
        ("text_encoder", "hidden_size", int(text["hidden_size"]), wanted // len(HIDDEN_LAYERS)),
        ("text_encoder", "num_hidden_layers", layers, max(layers, HIDDEN_LAYERS[-1] + 1)),
        ("vae", "patch_size", list(vae.get("patch_size", (_PATCH, _PATCH))), [_PATCH, _PATCH]),
        ("vae", "latent_channels", int(vae["latent_channels"]), channels // _PATCH**2),
    )
    for part, key, found, fits in rules:
        if found != fits:
            raise ManifestError(f"{configs.find(f'{part}/config.json')}: {key} must be {fits}, got {found}")
