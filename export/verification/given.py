"""What requests bring the denoiser: the conditions of several images, from prompts or from people and garments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from export.verification.trajectory import Conditions, Guidance, encoded, rows_of, token_inputs
from families.catalog import ModelSource
from families.manifest import Component, GuidanceKind, ModelManifest
from families.try_on_planes import Plane, mask_planes, pose_plane, try_on_conditions
from families.try_on_rule import TryOnPart, TryOnRule

_BLOCK = 8
"""Pixels of one colour along each side: noise of single pixels is what no encoder was trained on."""
Load = Callable[[Component], nn.Module]
"""A component's torch module, or what stands in for it."""


@dataclass(frozen=True, slots=True)
class Given:
    """Conditions one row an image, and the guidance that the model recommends."""

    positive: Conditions
    guidance: Guidance | None


def prompts_given(source: ModelSource, prompts: Sequence[str], load: Load) -> Given:
    """An image a prompt, away from the empty one."""
    with torch.inference_mode():
        rows = encoded(load(Component.TEXT_ENCODER), token_inputs(source, ("", *prompts)))
    return _given(source.manifest, rows_of(rows, slice(1)), rows_of(rows, slice(1, None)))


def people_given(manifest: ModelManifest, images: int, size: tuple[int, int], load: Load) -> Given:
    """So many people and garments of `size`, height and width in pixels, the same whenever they are asked for."""
    height, width = size
    generator = np.random.default_rng((height, width))
    blocks = generator.integers(0, 256, (2 * images, -(-height // _BLOCK), -(-width // _BLOCK), 3), dtype=np.uint8)
    pixels = blocks.repeat(_BLOCK, axis=1).repeat(_BLOCK, axis=2)[:, :height, :width]
    if Component.VAE_ENCODER in manifest.components:
        with torch.inference_mode():
            latents = load(Component.VAE_ENCODER)(torch.from_numpy(pixels)).float().numpy()
    else:
        latents = pixels.astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1
    mask = np.zeros(size, bool)
    mask[height // 4 : -height // 4, width // 4 : -width // 4] = True
    cell = manifest.latent.downscale
    planes: dict[TryOnPart, Plane] = {
        name: plane.repeat(images, axis=0) for name, plane in mask_planes(mask, cell).items()
    }
    planes |= {TryOnPart.PERSON: latents[:images], TryOnPart.GARMENT: latents[images:]}
    poses = pose_plane(pixels[0, ..., 0], cell).repeat(images, axis=0)
    planes |= {TryOnPart.PERSON_POSE: poses, TryOnPart.GARMENT_POSE: poses[..., ::-1]}
    planes[TryOnPart.CATEGORY] = _categories(manifest.try_on, images)
    both = tuple(torch.from_numpy(tensor.array) for tensor in try_on_conditions(manifest, planes, guided=True))
    return _given(manifest, rows_of(both, slice(images)), rows_of(both, slice(images, None)))


def _categories(rule: TryOnRule | None, images: int) -> Plane:
    return np.arange(images) % max(1, len(rule.categories) if rule else 0) + 1


def _given(manifest: ModelManifest, negative: Conditions, positive: Conditions) -> Given:
    guided = manifest.guidance is GuidanceKind.BATCHED and manifest.defaults.guidance_scale > 1
    return Given(positive, Guidance(negative, manifest.defaults.guidance_scale) if guided else None)
