"""Planes of what a try-on model is shown, put together as its conditions: the arithmetic of `TryOnRule`."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from families.manifest import ModelManifest
from families.tensors import NamedTensor, TensorSpec
from families.try_on_rule import StackAxis, TryOnCondition, TryOnPart, TryOnRule

Plane = npt.NDArray[np.generic]
Planes = Mapping[TryOnPart, Plane]
"""Each [n, channels, rows, columns] of the person's latents; the category [n]."""
_AXES = {StackAxis.HEIGHT: 2, StackAxis.WIDTH: 3}


def mask_planes(mask: npt.NDArray[np.bool_], cell: int) -> dict[TryOnPart, Plane]:
    """`mask` [height, width], in cells of so many pixels.

    The pixel in each cell's corner decides, as nearest scaling does where the models were trained.
    """
    cells = mask[::cell, ::cell].astype(np.float32)[None, None]
    return {TryOnPart.MASK: cells, TryOnPart.NO_MASK: np.zeros_like(cells)}


def pose_plane(drawn: npt.NDArray[np.uint8], cell: int) -> Plane:
    """`drawn` [height, width] in grey on black, as -1 to 1."""
    return drawn[::cell, ::cell].astype(np.float32)[None, None] / 127.5 - 1


def try_on_conditions(manifest: ModelManifest, planes: Planes, *, guided: bool) -> tuple[NamedTensor, ...]:
    """In the signature's order, each [rows, ...]: the positive rows, or under guidance as many negative ones before.

    The manifest must have a try-on rule, and `planes` all that it asks for.
    """
    rule = manifest.try_on
    assert rule is not None, "asked of a model that dresses nobody"
    specs = {spec.name: spec for spec in manifest.denoiser.inputs}
    without = {part: np.zeros_like(plane) if part in rule.dropped else plane for part, plane in planes.items()}
    halves = (without, planes) if guided else (planes,)
    return tuple(
        NamedTensor(condition.name, np.concatenate([_rows(specs[condition.name], condition, rule, h) for h in halves]))
        for condition in rule.conditions
    )


def beside(rule: TryOnRule, person: Plane, garment: Plane) -> Plane:
    """The person's planes [n, channels, rows, columns] with the garment's where the rule stacks them."""
    return person if rule.stack is None else np.concatenate([person, garment], axis=_AXES[rule.stack])


def of_person(rule: TryOnRule, latents: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The person's part of what was denoised [n, C, rows, columns]."""
    rows = latents.shape[2] // 2 if rule.stack is StackAxis.HEIGHT else latents.shape[2]
    columns = latents.shape[3] // 2 if rule.stack is StackAxis.WIDTH else latents.shape[3]
    return np.ascontiguousarray(latents[:, :, :rows, :columns])


def _rows(spec: TensorSpec, condition: TryOnCondition, rule: TryOnRule, planes: Planes) -> Plane:
    if TryOnPart.CATEGORY in condition.person:
        return planes[TryOnPart.CATEGORY].astype(spec.dtype.numpy)
    whole = np.concatenate([planes[part] for part in condition.person], axis=1)
    if rule.stack is not None:
        whole = beside(rule, whole, np.concatenate([planes[part] for part in condition.garment], axis=1))
    return whole.astype(spec.dtype.numpy)
