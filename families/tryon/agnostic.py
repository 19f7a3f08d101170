"""The agnostic mask: where a person may change when a garment of a category is put on.

It holds the garments that go, the limbs that a new garment may cover or bare, and room for the widest garment, so
that every new garment fits and nothing of the old one stays. Arms are always masked whole and every row of the
skirt zone is at least as wide as a wide skirt: the mask's shape hardly tells what was worn before.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from families.tryon.parts import BodyPart, Category

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Room:
    """How far a mask reaches, all in shares of the person's height."""

    up: float = 0.032
    sideways: float = 0.038
    down: float = 0.06
    seam: float = 0.052  # into protected parts: soft edges, and cloth that overlaps hair, a hand or a shoe
    face_seam: float = 0.014
    skirt_half_width: float = 0.275
    skirt_top: float = 0.35  # above the soles: about the hip
    skirt_hem: float = 0.11  # above the soles: about the shin
    waist_up: float = 0.085  # above the lower garment's visible part: what peeps out beside a narrow top
    edge: float = 0.02


DRESS_SHARE = 0.2  # of all clothes: fewer dress pixels are a parser's mistake


def agnostic_mask(labels: Labels, category: Category, room: Room = Room()) -> Mask:
    """Where the picture is to be drawn anew, bool [H, W], from a label map uint8 [H, W] of `BodyPart.label`.

    A dress goes whole when a top or bottoms are put on. Raises ValueError where the labels show no person, or
    nothing that a garment of this category could go on.
    """
    if labels.ndim != 2:
        raise ValueError(f"labels must be [height, width], got {list(labels.shape)}")
    person = labels != BodyPart.BACKGROUND.label
    rows = np.flatnonzero(person.any(axis=1))
    if rows.size == 0:
        raise ValueError("labels: no person in the picture, every pixel is background")
    height, soles = int(rows[-1] - rows[0] + 1), int(rows[-1])
    whole = _wears_dress(labels) or category is Category.ONE_PIECES
    upper = _upper(labels) if whole or category is Category.TOPS else np.zeros_like(person)
    lower = _lower(labels, height, soles, room) if whole or category is Category.BOTTOMS else np.zeros_like(person)
    core = upper | lower
    if not core.any():
        raise ValueError(f"category {category}: the labels show neither such clothes nor the limbs they go on")
    return _grow(core, labels, height, room)


def _is(labels: Labels, *parts: BodyPart) -> Mask:
    mask: Mask = np.isin(labels, [part.label for part in parts])
    return mask


def _wears_dress(labels: Labels) -> bool:
    dress = int(_is(labels, BodyPart.DRESS).sum())
    clothes = int(_is(labels, BodyPart.DRESS, BodyPart.TOP, BodyPart.BOTTOMS).sum())
    return dress > DRESS_SHARE * clothes


def _upper(labels: Labels) -> Mask:
    """Upper garments, arms and the skin that a neckline shows."""
    cloth = _is(labels, BodyPart.TOP, BodyPart.DRESS)
    return cloth | _is(labels, BodyPart.ARMS) | (_is(labels, BodyPart.FACE) & ~_face(labels))


def _lower(labels: Labels, height: int, soles: int, room: Room) -> Mask:
    """Lower garments and legs, with room for the widest skirt in every row of the skirt zone."""
    core = _is(labels, BodyPart.BOTTOMS, BodyPart.DRESS, BodyPart.LEGS)
    first, last = (max(0, soles - round(share * height)) for share in (room.skirt_top, room.skirt_hem))
    rows = [row for row in range(first, last + 1) if core[row].any()]
    if rows:
        ends = np.array([np.flatnonzero(core[row])[[0, -1]] for row in rows])
        # not each row's own middle: of the uppermost rows a long top leaves only one side
        middle = np.median(ends.mean(axis=1))
        core[rows] |= np.abs(np.arange(labels.shape[1]) - middle) <= room.skirt_half_width * height
        for row, (left, right) in zip(rows, ends, strict=True):
            core[row, left:right] = True
    return core | _waist(core, labels, height, room)


def _waist(lower: Mask, labels: Labels, height: int, room: Room) -> Mask:
    """The top's sides above the lower garment, where hips may show beside a narrower waist."""
    up, edge = (max(1, round(share * height)) for share in (room.waist_up, room.edge))
    top = _is(labels, BodyPart.TOP)
    around = _footprint(edge, edge, edge)
    sides = ndimage.binary_dilation(top, around) & ndimage.binary_dilation(~top, around)
    waist: Mask = sides & ndimage.binary_dilation(lower, _footprint(up, edge, edge))
    return waist


def _face(labels: Labels) -> Mask:
    """The face down to the collar: skin below it is chest that a garment may cover."""
    face = _is(labels, BodyPart.FACE)
    across = np.flatnonzero(face.any(axis=0))
    if across.size:
        cloth = _is(labels, BodyPart.TOP, BodyPart.DRESS)[:, across[0] : across[-1] + 1].any(axis=1)
        face[int(np.argmax(cloth)) if cloth.any() else len(face) :] = False
    return face


def _grow(core: Mask, labels: Labels, height: int, room: Room) -> Mask:
    """Freely over background, limbs and clothes that go; into protected parts only by a seam."""
    up, sideways, down, seam, face_seam = (
        max(1, round(share * height)) for share in (room.up, room.sideways, room.down, room.seam, room.face_seam)
    )
    face, person = _face(labels), labels != BodyPart.BACKGROUND.label
    protected = person & ~core
    free = ndimage.binary_dilation(core, _footprint(up, sideways, down))
    near = ndimage.binary_dilation(core, _footprint(seam, seam, seam))
    touching = ndimage.binary_dilation(core, _footprint(face_seam, face_seam, face_seam))
    mask: Mask = core | (free & ~protected) | (near & person & ~face) | touching
    return mask


def _footprint(up: int, sideways: int, down: int) -> Mask:
    """Half an ellipse above and another below the centre; what it dilates moves `down` pixels down, and so on."""
    reach = max(up, down)
    y, x = np.ogrid[-reach : reach + 1, -sideways : sideways + 1]
    vertical = np.where(y < 0, y / up, y / down)
    footprint: Mask = vertical**2 + (x / sideways) ** 2 <= 1.0 + 1e-6
    return footprint
