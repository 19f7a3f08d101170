"""The Qwen-Image-Edit family: Qwen-Image with reference pictures, which its text encoder looks at and whose latents are
appended to the transformer's tokens.

Reads the JSON files of a diffusers pipeline; no weights are opened.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from families import qwen_image
from families.derived import Layout
from families.errors import ManifestError
from families.manifest import REFERENCE, ModelManifest, PictureRule, ReferenceRule
from families.qwen_image import diagonal, grid, turned
from families.sources.configs import ConfigFolders
from families.tensors import ComponentSignature, DType, NamedTensor, TensorSpec
from families.tokenizers import tokenizer_file

FAMILY = "qwen-image-edit"
_ONE, _SEVERAL = "QwenImageEditPipeline", "QwenImageEditPlusPipeline"
PIPELINE_CLASSES = frozenset({_ONE, _SEVERAL})

_TEMPLATE = (
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, "
    "background), then explain how the user's text instruction should alter or modify the image. Generate a new image "
    "that meets the user's requirements while maintaining consistency with the original input where "
    "appropriate.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""What the models were trained with, word by word."""
_INSTRUCTION = 64
"""Tokens of the template before the pictures; the text encoder leaves them out of its answer."""
_WORDS = 512
"""Tokens for the user's words."""
_LATENT_AREA = 1024 * 1024
_LOOKED_AT: Mapping[str, int] = MappingProxyType({_ONE: _LATENT_AREA, _SEVERAL: 384 * 384})
"""Pixels of a picture that the text encoder looks at."""
_MOST: Mapping[str, int] = MappingProxyType({_ONE: 1, _SEVERAL: 3})
_MULTIPLE = 32
_PICTURE = "<|vision_start|>{picture}<|vision_end|>"
_PICTURE_WORDS: Mapping[str, str] = MappingProxyType({_ONE: _PICTURE, _SEVERAL: "Picture {number}: " + _PICTURE})
_PAD = "<|image_pad|>"

_TOKENIZERS = ("tokenizer", "processor")
"""Some folders have the tokenizer beside the processor alone."""
_PROCESSOR = "processor/preprocessor_config.json"
# What Qwen2.5-VL's processor does where its configuration is silent.
_MINIMUM, _MAXIMUM = 56 * 56, 28 * 28 * 1280
_MEAN, _DEVIATION = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def load_manifest(configs: ConfigFolders, name: str) -> ModelManifest:
    """Describe a pipeline under the name `name`. Raises ManifestError naming what is missing or not supported."""
    base = qwen_image.load_manifest(configs, name)
    pipeline = str(configs.read("model_index.json")["_class_name"])
    rule = _picture_rule(configs, pipeline)
    length = _WORDS + rule.most * _most_tokens(rule)
    tokens = _INSTRUCTION + length
    context, mask = base.given
    file = tokenizer_file(configs, _TOKENIZERS)
    return dataclasses.replace(
        base,
        family=FAMILY,
        prompts=(dataclasses.replace(base.prompts[0], length=tokens, template=_TEMPLATE, pictures=rule, file=file),),
        text_encoder=ComponentSignature(
            (
                TensorSpec("input_ids", DType.INT64, (tokens,)),
                TensorSpec("token_mask", DType.BOOL, (tokens,)),
                TensorSpec(rule.patches, DType.UINT8, ("patches", 3 * rule.patch**2)),
                TensorSpec(rule.grid, DType.INT64, (rule.most, 2)),
            ),
            (
                dataclasses.replace(context, dims=(length, *context.dims[1:])),
                dataclasses.replace(mask, dims=(length,)),
            ),
        ),
        denoiser=with_references(base.denoiser),
        references=ReferenceRule(rule.most, _LATENT_AREA, _MULTIPLE),
    )


def with_references(denoiser: ComponentSignature) -> ComponentSignature:
    """The cells after what the text encoder gave, their rotations between the picture's and the text's."""
    *given, latent_cos, latent_sin, text_cos, text_sin = denoiser.inputs
    channels, half = denoiser.outputs[0].dims[0], latent_cos.dims[-1]
    cells, *rotations = (
        TensorSpec(name, DType.FP32, ("reference_length", width))
        for name, width in ((REFERENCE, channels), (f"{REFERENCE}_cos", half), (f"{REFERENCE}_sin", half))
    )
    inputs = (*given, cells, latent_cos, latent_sin, *rotations, text_cos, text_sin)
    return ComponentSignature(inputs, denoiser.outputs)


def _picture_rule(configs: ConfigFolders, pipeline: str) -> PictureRule:
    """Raises ManifestError where the processor does what the text encoder's module does not."""
    config: dict[str, Any] = configs.read(_PROCESSOR)
    for key, usual in (("image_mean", _MEAN), ("image_std", _DEVIATION)):
        if config.get(key, usual) != usual:
            raise ManifestError(f"{configs.find(_PROCESSOR)}: {key} must be {usual}, got {config[key]}")
    size = config.get("size") or {}
    return PictureRule(
        most=_MOST[pipeline],
        area=_LOOKED_AT[pipeline],
        multiple=_MULTIPLE,
        minimum=int(config.get("min_pixels") or size.get("shortest_edge") or _MINIMUM),
        maximum=int(config.get("max_pixels") or size.get("longest_edge") or _MAXIMUM),
        patch=int(config.get("patch_size", 14)),
        merge=int(config.get("merge_size", 2)),
        words=_PICTURE_WORDS[pipeline],
        token=_PAD,
    )


def _most_tokens(rule: PictureRule) -> int:
    """Tokens of one picture and the words around it; rounding both sides up makes it larger than its area says."""
    return rule.area * 6 // 5 // (rule.patch * rule.merge) ** 2 + 32


def derive(manifest: ModelManifest, layout: Layout) -> tuple[NamedTensor, ...]:
    """As Qwen-Image's, and `reference_cos`, `reference_sin` [1, cells of all references, head / 2] before the text's.

    References are numbered from 1; the text stands beyond the largest of all pictures.
    """
    half = int(manifest.denoiser.inputs[-1].dims[-1])
    pictures = ((layout.latent_height, layout.latent_width), *layout.references)
    positions = [grid(number, *size) for number, size in enumerate(pictures)]
    first = max(side // 2 for size in pictures for side in size)
    return (
        *turned("latent", positions[0], half),
        *turned(
            REFERENCE, np.concatenate([np.zeros((0, 3)), *(cells.reshape(-1, 3) for cells in positions[1:])]), half
        ),
        *turned("text", diagonal(first, layout.text_length), half),
    )
