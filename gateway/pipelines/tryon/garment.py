"""The garment: which it is, cut out of its picture, and laid flat as models have learnt to see garments."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from families.tryon.parts import BodyPart, Category
from gateway.domain.pictures import PictureSize
from gateway.domain.tryon import GarmentPhoto, GarmentPicture
from gateway.domain.tryon_drawing import Grey, MaskPixels, Rgb
from gateway.domain.tryon_errors import InputValidationError
from gateway.domain.vision import Parse
from gateway.pipelines.frame import Box, resize
from gateway.pipelines.tryon.body import GARMENTS, box_of, labelled
from gateway.pipelines.tryon.crop import Window, window_of_share
from gateway.pipelines.tryon.ground import differs_from_border
from gateway.pipelines.tryon.person import View, shows_person, whole
from gateway.pipelines.tryon.poses import pose_grey

_LEAST = 0.01
"""Of the picture: less is no garment."""
_DRESS_SHARE = 0.2
"""Of all clothes somebody wears: fewer dress pixels are the parser's mistake."""
_TOP_SHARE = 0.2
_SHARES = (0.38, 0.97)
"""Of the drawing: a garment whose larger side is within these, and which lies near the middle, stays where it is."""
_SHARE = 0.66
"""What it is scaled to otherwise: the middle of what models saw."""
_OFF_CENTRE = 0.12
_SAME_GROUND = 4.0
"""Levels that a picture's ground may differ from the model's, as JPEG leaves it."""

_HALF = 128

_LABELS = {
    Category.TOPS: (BodyPart.TOP,),
    Category.BOTTOMS: (BodyPart.BOTTOMS,),
    Category.ONE_PIECES: (BodyPart.DRESS,),
}
_CATEGORIES = {parts[0]: category for category, parts in _LABELS.items()}


@dataclass(frozen=True, slots=True)
class Garment:
    """A garment in its own picture, where it is `mask` [height, width]. `warning` is a sentence for the caller."""

    view: View
    mask: MaskPixels
    category: Category
    photo: GarmentPhoto
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class FlatLay:
    """The garment alone on the model's ground, at the drawing's size; `pose` of whoever wears it in its picture."""

    pixels: Rgb
    mask: MaskPixels
    pose: Grey


def find_garment(view: View, asked: GarmentPicture, alpha: Grey | None = None) -> Garment:
    """`alpha` [height, width]: what a matting model takes for the picture's subject; None: none looked.

    Raises InputValidationError naming the field.
    """
    field, person = asked.picture.field, shows_person(view.parse)
    if asked.photo is GarmentPhoto.FLAT_LAY and person:
        raise InputValidationError(
            f"'{field}' shows a person and garment_photo_type is flat-lay; allowed: a garment alone, or "
            "garment_photo_type model; or are person and garment swapped?",
            param=field,
        )
    photo = asked.photo or (GarmentPhoto.MODEL if person else GarmentPhoto.FLAT_LAY)
    if photo is GarmentPhoto.MODEL:
        return _worn(view, asked)
    return _lying(view, asked, _cut(view) if alpha is None else _solid(alpha >= _HALF))


def lay_flat(garment: Garment, size: PictureSize, ground: tuple[int, int, int]) -> FlatLay:
    """At the drawing's size, on its ground; never squashed."""
    sheet = _Sheet(_window(garment.mask, size))
    pixels = _on_ground(garment, np.array(ground, dtype=np.float32))
    worn = garment.photo is GarmentPhoto.MODEL
    pose = pose_grey(garment.view.parse) if worn else np.zeros_like(garment.view.parse.labels)
    mask = sheet.placed(garment.mask.astype(np.uint8), 0, Image.Resampling.NEAREST) > 0
    return FlatLay(sheet.placed(pixels, ground), mask, sheet.placed(pose, 0))


class _Sheet:
    """What a window shows, on a ground where it reaches beyond the picture."""

    def __init__(self, window: Window) -> None:
        box, inside = window.box, window.inside
        self._window = window
        self._at = Box(
            inside.left - box.left, inside.top - box.top, inside.right - box.left, inside.bottom - box.top
        ).slices

    def placed(
        self,
        array: npt.NDArray[np.uint8],
        ground: int | tuple[int, int, int],
        resampling: Image.Resampling = Image.Resampling.LANCZOS,
    ) -> npt.NDArray[np.uint8]:
        """Of an array [height, width, ...], at the drawing's size."""
        size, drawn = self._window.box.size, self._window.drawn
        sheet = np.full((size.height, size.width, *array.shape[2:]), ground, dtype=np.uint8)
        sheet[self._at] = array[self._window.inside.slices]
        return sheet if size == drawn else resize(sheet, drawn, resampling)


def _lying(view: View, asked: GarmentPicture, mask: MaskPixels) -> Garment:
    field = asked.picture.field
    if mask.mean() < _LEAST:
        raise InputValidationError(
            f"'{field}' shows no garment: it is blank, or too much like its background", param=field
        )
    seen = _category(view.parse)
    category = asked.category or seen
    if category is None:
        raise InputValidationError(
            f"the category of the garment in '{field}' cannot be told from the picture; "
            f"give category: {', '.join(Category)}",
            param="category",
        )
    warning = None
    if seen is not None and seen is not category:
        warning = f"'{field}' looks like {seen}, and is put on as {category}, as was asked for"
    return Garment(view, mask, category, GarmentPhoto.FLAT_LAY, warning)


def _worn(view: View, asked: GarmentPicture) -> Garment:
    """What somebody wears. Without a category a dress, else a top that is large enough to matter, else bottoms."""
    field, labels = asked.picture.field, view.parse.labels
    areas = {part: int(labelled(labels, part).sum()) for part in GARMENTS}
    clothes = sum(areas.values())
    if not clothes:
        raise InputValidationError(f"'{field}' shows nobody in clothes", param=field)
    category = asked.category
    if category is None:
        if areas[BodyPart.DRESS] > _DRESS_SHARE * clothes:
            category = Category.ONE_PIECES
        else:
            category = Category.TOPS if areas[BodyPart.TOP] > _TOP_SHARE * clothes else Category.BOTTOMS
    mask = labelled(labels, *_LABELS[category])
    if mask.mean() < _LEAST:
        worn = ", ".join(_CATEGORIES[part] for part, area in areas.items() if area >= _LEAST * labels.size) or "none"
        raise InputValidationError(f"'{field}' shows nobody in {category}; found: {worn}", param=field)
    return Garment(view, mask, category, GarmentPhoto.MODEL)


def _category(parse: Parse) -> Category | None:
    """Of a garment that lies there: what most of it is taken for."""
    areas = {part: int(labelled(parse.labels, part).sum()) for part in GARMENTS}
    part = max(areas, key=lambda known: areas[known])
    return _CATEGORIES[part] if areas[part] >= _LEAST * parse.labels.size else None


def _cut(view: View) -> MaskPixels:
    """What the parser takes for clothes, and what differs from an even ground."""
    seen = labelled(view.parse.labels, *GARMENTS)
    different = differs_from_border(view.pixels)
    mask = seen if different is None else seen | different
    return _solid(mask)


def _solid(mask: MaskPixels) -> MaskPixels:
    """Without holes and without specks beside what is large."""
    filled = ndimage.binary_fill_holes(mask)
    parts, count = ndimage.label(filled)
    if count <= 1:
        solid: MaskPixels = np.asarray(filled, dtype=bool)
        return solid
    areas = np.bincount(parts.ravel())[1:]
    large = 1 + np.flatnonzero(areas >= areas.max() / 10)
    kept: MaskPixels = np.isin(parts, large)
    return kept


def _window(mask: MaskPixels, drawn: PictureSize) -> Window:
    """The whole picture where the garment lies well in it; else one in which it does."""
    size, box = PictureSize(mask.shape[1], mask.shape[0]), box_of(mask)
    assert box is not None, "a garment has pixels"
    everything = window_of_share(size, whole(size), drawn, 1.0)
    frame = everything.box
    share = max(box.size.width / frame.size.width, box.size.height / frame.size.height)
    off = max(
        abs(box.left + box.right - frame.left - frame.right) / frame.size.width,
        abs(box.top + box.bottom - frame.top - frame.bottom) / frame.size.height,
    )
    if _SHARES[0] <= share <= _SHARES[1] and off / 2 <= _OFF_CENTRE:
        return everything
    return window_of_share(size, box, drawn, _SHARE)


def _on_ground(garment: Garment, ground: npt.NDArray[np.float32]) -> Rgb:
    """The picture with its ground exchanged, unless it is the model's own."""
    around = ~ndimage.binary_dilation(garment.mask, iterations=2)
    lies = garment.photo is GarmentPhoto.FLAT_LAY and around.any()
    if lies and np.abs(garment.view.pixels[around] - ground).mean() <= _SAME_GROUND:
        return garment.view.pixels
    alpha = np.asarray(Image.fromarray(garment.mask.astype(np.uint8) * 255)).astype(np.float32) / 255
    alpha = ndimage.gaussian_filter(alpha, max(0.5, max(alpha.shape) / 1000))[..., None]
    cut: Rgb = np.rint(garment.view.pixels * alpha + ground * (1 - alpha)).astype(np.uint8)
    return cut
