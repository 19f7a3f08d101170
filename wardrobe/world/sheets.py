"""A picture's layers as a layered model hands them out: sheets, bottom to top, more or fewer of them."""

import numpy as np

from wardrobe.world.attributes import Part
from wardrobe.world.canvas import SIZE, Pixels
from wardrobe.world.render import Layer, Render

NAMES: tuple[tuple[str, ...], ...] = (
    ("background", "person"),
    ("background", "dressed body", "head"),
    ("background", "body", "clothes", "head"),
    ("background", "body", "bottoms", "top", "head"),
    ("background", "body", "shoes", "bottoms", "top", "head"),
)
"""What the sheets of 2, 3, 4, 5 and 6 are; each count joins two neighbours of the next one. A dress is a top."""

FINEST = NAMES[-1]
_JOINED: dict[str, tuple[int, int]] = {
    **{name: (index, index + 1) for index, name in enumerate(FINEST)},
    "clothes": (3, 5),
    "dressed body": (1, 5),
    "person": (1, 6),
}
_HEAD = frozenset({"face", "hair"})
_OF_PART = {Part.BACKGROUND: 0, Part.SHOES: 2, Part.BOTTOMS: 3, Part.TOP: 4, Part.DRESS: 4}
EMPTY_LEVEL = 128
"""The grey of pixels that show nothing."""
_NOTHING: Pixels = np.zeros((0, SIZE, SIZE, 4), np.uint8)


def finest_sheets(picture: Render) -> Pixels:
    """RGBA uint8 [6, 128, 128, 4], straight alpha, named `FINEST`; where one shows nothing it is grey."""
    groups: list[list[Pixels]] = [[] for _ in FINEST]
    for layer in picture.layers:
        groups[_place(layer)].append(layer.pixels)
    return np.stack([flatten(np.stack(group) if group else _NOTHING) for group in groups])


def sheets(finest: Pixels, count: int) -> Pixels:
    """`count` sheets, at least 2, of the finest ones; beyond 6 those on top are empty. RGBA uint8 [count, 128, 128, 4].

    They are named `NAMES[count - 2]`, as far as there are names.
    """
    names = NAMES[min(count, len(FINEST)) - 2]
    ranges = [sheet_range(name, count) for name in names]
    joined = [flatten(finest[first:end]) for first, end in ranges]
    return np.stack([*joined, *[flatten(_NOTHING)] * (count - len(names))])


def flatten(stack: Pixels) -> Pixels:
    """Sheets [K, height, width, 4] that lie on one another, bottom first, as one with straight alpha."""
    colour, cover = np.zeros((*stack.shape[1:3], 3), np.float32), np.zeros((*stack.shape[1:3], 1), np.float32)
    for sheet in stack:
        alpha = sheet[..., 3:].astype(np.float32) / 255
        colour = colour * (1 - alpha) + sheet[..., :3] * alpha
        cover = cover * (1 - alpha) + alpha
    visible = np.where(cover > 0, colour / np.maximum(cover, 1e-6), EMPTY_LEVEL)
    joined: Pixels = np.rint(np.concatenate([visible, cover * 255], axis=-1)).astype(np.uint8)
    return joined


def chequered(sheets: Pixels) -> Pixels:
    """RGBA [..., H, W, 4] over the pattern that stands for nothing; RGB."""
    rows, columns = np.mgrid[: sheets.shape[-3], : sheets.shape[-2]] // 8
    ground = np.where((rows + columns) % 2, 205, 235)[..., None]
    alpha = sheets[..., 3:] / 255
    shown: Pixels = np.rint(sheets[..., :3] * alpha + ground * (1 - alpha)).astype(np.uint8)
    return shown


def soft_iou(truth: Pixels, drawn: Pixels) -> float:
    """Of the alpha of sheets [..., 4], all together: the sum of the lesser over the sum of the greater."""
    first, second = (sheet[..., 3].astype(np.float64) for sheet in (truth, drawn))
    return float(np.minimum(first, second).sum() / max(np.maximum(first, second).sum(), 1e-9))


def sheet_range(name: str, count: int) -> tuple[int, int]:
    """First and one past the last of the finest sheets that a sheet of an answer of `count` joins.

    With fewer than six the shoes belong to the body.
    """
    if name == "body" and count < len(FINEST):
        return 1, 3
    return _JOINED[name]


def _place(layer: Layer) -> int:
    """The finest sheet that a layer belongs to; the hair that falls behind the shoulders goes with the body."""
    if layer.name in _HEAD:
        return len(FINEST) - 1
    return _OF_PART.get(layer.part, 1)
