"""The Qwen-Image family: Qwen2.5-VL reads the prompt, a transformer on 2x2 patches of 16-channel latents draws.

Reads the JSON files of a diffusers pipeline; no weights are opened.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from families.card import read_card
from families.derived import Layout
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
from families.sources.configs import ConfigFolders
from families.tensors import ComponentSignature, DType, NamedTensor, TensorSpec
from families.tokenizers import tokenizer_file
from families.vae import vae_decoder, vae_encoder

Positions = npt.NDArray[np.float64]

FAMILY = "qwen-image"
PIPELINE_CLASSES = frozenset({"QwenImagePipeline"})
PARTS: Mapping[Component, tuple[str, ...]] = MappingProxyType({
    Component.TEXT_ENCODER: ("text_encoder",),
    Component.DENOISER: ("transformer",),
    Component.VAE_ENCODER: ("vae",),
    Component.VAE_DECODER: ("vae",),
})  # fmt: skip
"""diffusers' folders of each component."""

PROMPT_TEMPLATE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""What the model was trained with, word by word."""
_INSTRUCTION = 34
"""Tokens of the template before the user's words; the text encoder leaves them out of its answer."""
_LENGTH = 512
"""Tokens of text that reach the transformer, by the reference's default. What follows them in a longer prompt could not
change them, so the encoder need not read it."""
_PAD = 0
"""Padding is masked, so any token does."""

_DEFAULTS = SamplingDefaults(steps=50, guidance_scale=4.0, scheduler="flow_match_euler")
_DEFAULT_SIDE, _MINIMUM_SIDE, _MAXIMUM_SIDE = 1024, 64, 2048
_TRANSFORMER, _VAE = "transformer/config.json", "vae/config.json"
_PATCH = 2
_RGB, _RGBA = 3, 4
_THETA = 10000.0
_AXES = (2, 7, 7)
"""Sixteenths of a head that turn with the picture's number, the row and the column."""


def load_manifest(configs: ConfigFolders, name: str) -> ModelManifest:
    """Describe a pipeline under the name `name`. Raises ManifestError naming what is missing or not supported."""
    return read_pipeline(configs, name, layered=False)


def read_pipeline(configs: ConfigFolders, name: str, *, layered: bool) -> ModelManifest:
    """What all pipelines around this transformer have in common. `layered`: it was trained on layers, of which it is
    told by a number beside the time and by positions of their own. Raises ManifestError as `load_manifest`.
    """
    card = read_card(configs)
    transformer = configs.read(_TRANSFORMER)
    channels, width = int(transformer["in_channels"]), int(transformer["joint_attention_dim"])
    half = _half_head(configs, layered=layered)
    pixel_channels = _pixel_channels(configs, layered=layered)
    downscale = _PATCH * 2 ** len(configs.read(_VAE)["temperal_downsample"])
    side = card.default_side or _DEFAULT_SIDE

    file = tokenizer_file(configs, ("tokenizer",))
    tokens = _INSTRUCTION + _LENGTH
    latent = (channels, "latent_height", "latent_width")
    return ModelManifest(
        name=name,
        family=FAMILY,
        licence=card.licence,
        latent=LatentLayout(LatentKind.NCHW, channels, downscale, 1.0, 0.0, noise_patch=_PATCH),
        noise=flow_schedule(configs, MuRule.LINEAR, linear_sigmas=True),
        guidance=GuidanceKind.RENORMALISED,
        size=SizeRule(downscale, _MINIMUM_SIDE, card.maximum_side or _MAXIMUM_SIDE, side, side),
        defaults=card.defaults(_DEFAULTS),
        prompts=(PromptRule(tokens, None, None, _PAD, mask="token_mask", file=file, template=PROMPT_TEMPLATE),),
        text_encoder=ComponentSignature(
            (TensorSpec("input_ids", DType.INT64, (tokens,)), TensorSpec("token_mask", DType.BOOL, (tokens,))),
            (TensorSpec("context", DType.FP32, (_LENGTH, width)), TensorSpec("context_mask", DType.BOOL, (_LENGTH,))),
        ),
        denoiser=ComponentSignature(
            (
                TensorSpec("sample", DType.FP32, latent),
                TensorSpec("timestep", DType.FP32, ()),
                TensorSpec("context", DType.FP32, ("text_length", width)),
                TensorSpec("context_mask", DType.BOOL, ("text_length",)),
                TensorSpec("latent_cos", DType.FP32, ("latent_height", "latent_width", half)),
                TensorSpec("latent_sin", DType.FP32, ("latent_height", "latent_width", half)),
                TensorSpec("text_cos", DType.FP32, ("text_length", half)),
                TensorSpec("text_sin", DType.FP32, ("text_length", half)),
            ),
            (TensorSpec("velocity", DType.FP32, latent),),
        ),
        vae_encoder=vae_encoder(latent, pixel_channels),
        vae_decoder=vae_decoder(latent, pixel_channels),
    )


def _half_head(configs: ConfigFolders, *, layered: bool) -> int:
    """Angles of a head. Raises ManifestError where they are not shared out as in all published models."""
    config, file = configs.read(_TRANSFORMER), configs.find(_TRANSFORMER)
    for key in ("zero_cond_t", "guidance_embeds"):
        if config.get(key):
            raise ManifestError(f"{file}: {key} is not supported for {FAMILY}")
    for key in ("use_additional_t_cond", "use_layer3d_rope"):
        if bool(config.get(key)) is not layered:
            which = "must be true for layered models" if layered else f"is not supported for {FAMILY}"
            raise ManifestError(f"{file}: {key} {which}")
    head = int(config["attention_head_dim"])
    axes = tuple(config["axes_dims_rope"])
    if axes != tuple(head * part // 16 for part in _AXES) or sum(axes) != head or any(axis % 2 for axis in axes):
        raise ManifestError(f"{file}: axes_dims_rope must be 2, 7 and 7 sixteenths of {head}, got {axes}")
    return head // 2


def _pixel_channels(configs: ConfigFolders, *, layered: bool) -> int:
    """Raises ManifestError where the autoencoder has other channels than pictures of the family."""
    found, wanted = configs.read(_VAE).get("input_channels", _RGB), _RGBA if layered else _RGB
    if found != wanted:
        raise ManifestError(f"{configs.find(_VAE)}: input_channels must be {wanted}, got {found}")
    return wanted


def derive(manifest: ModelManifest, layout: Layout) -> tuple[NamedTensor, ...]:
    """`latent_cos`, `latent_sin` [1, h, w, head / 2], `text_cos`, `text_sin` [1, tokens, head / 2], float32.

    Rows and columns are counted from the picture's middle; the text stands on the diagonal beyond its larger side.
    """
    half = int(manifest.denoiser.inputs[-1].dims[-1])
    height, width = layout.latent_height, layout.latent_width
    return (
        *turned("latent", grid(0, height, width), half),
        *turned("text", diagonal(max(height // 2, width // 2), layout.text_length), half),
    )


def grid(number: int, height: int, width: int) -> Positions:
    """Positions [height, width, 3] of a picture's cells: the picture's own number, row, column."""
    positions = np.empty((height, width, 3))
    positions[..., 0] = number
    positions[..., 1] = (np.arange(height) - (height - height // 2))[:, None]
    positions[..., 2] = np.arange(width) - (width - width // 2)
    return positions


def diagonal(first: int, length: int) -> Positions:
    """Positions [length, 3] of a text."""
    return np.repeat(np.arange(first, first + length, dtype=np.float64)[:, None], 3, axis=1)


def turned(name: str, positions: Positions, half: int) -> tuple[NamedTensor, NamedTensor]:
    """`<name>_cos`, `<name>_sin` [1, ..., half] of positions [..., 3]."""
    columns = []
    for axis, part in enumerate(_AXES):
        count = half * part // 16
        # Rounded to float32 wherever the reference does: over a thousand tokens its rounding is part of the positions.
        exponents = np.arange(count, dtype=np.float32) / np.float32(count)
        periods = (_THETA ** exponents.astype(np.float64)).astype(np.float32)
        columns.append(positions[..., axis, None].astype(np.float32) * (np.float32(1) / periods))
    angles = np.concatenate(columns, axis=-1)[None].astype(np.float64)
    return (
        NamedTensor(f"{name}_cos", np.cos(angles).astype(np.float32)),
        NamedTensor(f"{name}_sin", np.sin(angles).astype(np.float32)),
    )
