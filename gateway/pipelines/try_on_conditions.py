"""One drawing's person, mask and garment as what its model is shown."""

import numpy as np

from families.manifest import ModelManifest
from families.try_on_planes import Plane, Planes, mask_planes, pose_plane
from families.try_on_rule import TryOnPart, TryOnRule
from gateway.domain.backend import Latents
from gateway.domain.tryon_drawing import MaskPixels, Rgb, TryOnDrawing


def hidden(person: Rgb, mask: MaskPixels, level: int) -> Rgb:
    """The person without what the mask covers, which becomes grey."""
    return np.where(mask[..., None], np.uint8(level), person)


def planes(manifest: ModelManifest, rule: TryOnRule, drawing: TryOnDrawing, latents: Latents) -> Planes:
    """`latents` [2 or more, C, rows, columns]: those of the hidden person and of the garment come first.

    Raises ValueError where the drawing lacks what the rule asks for.
    """
    cell = manifest.latent.downscale
    made: dict[TryOnPart, Plane] = {
        **mask_planes(drawing.mask, cell),
        TryOnPart.PERSON: latents[:1],
        TryOnPart.GARMENT: latents[1:2],
    }
    if rule.takes_poses:
        if drawing.poses is None:
            raise ValueError(f"{manifest.name} takes poses, and the drawing has none")
        made[TryOnPart.PERSON_POSE] = pose_plane(drawing.poses.person, cell)
        made[TryOnPart.GARMENT_POSE] = pose_plane(drawing.poses.garment, cell)
    if rule.categories:
        if drawing.category not in rule.categories:
            raise ValueError(f"{manifest.name} takes one of {', '.join(rule.categories)}, got {drawing.category}")
        made[TryOnPart.CATEGORY] = np.array([rule.categories.index(drawing.category) + 1])
    return made
