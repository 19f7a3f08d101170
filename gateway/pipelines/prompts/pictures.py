"""Reference pictures as a text encoder that sees takes them: patches of pixels, and words that stand for them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from families.manifest import PictureRule
from families.picture_size import looked_at, of_area
from families.tensors import NamedTensor
from gateway.domain.backend import Tokens

_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class ShownPictures:
    """`words` stand before the user's own; `tokens` are inputs of the text encoder, one row."""

    words: str
    tokens: Tokens


def show(pictures: Sequence[npt.NDArray[np.uint8]], rule: PictureRule) -> ShownPictures:
    """Scale and cut up pictures [height, width, 3], at most `rule.most`; heavy enough for a thread of its own."""
    words, patches = "", [np.zeros((0, _CHANNELS * rule.patch**2), np.uint8)]
    grid = np.zeros((1, rule.most, 2), np.int64)
    for number, pixels in enumerate(pictures):
        cut = _patches(_scaled(pixels, rule), rule)
        grid[0, number] = cut.shape[0] * rule.merge, cut.shape[1] * rule.merge
        patches.append(cut.reshape(-1, _CHANNELS * rule.patch**2))
        seen = rule.token * (cut.shape[0] * cut.shape[1])
        words += rule.words.replace("{number}", str(number + 1)).replace("{picture}", seen)
    together = np.concatenate(patches)[None]
    return ShownPictures(words, (NamedTensor(rule.patches, together), NamedTensor(rule.grid, grid)))


def _scaled(pixels: npt.NDArray[np.uint8], rule: PictureRule) -> npt.NDArray[np.uint8]:
    """Twice, as the reference does: to an area, then to whole squares of patches."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image = image.resize(of_area(image.width, image.height, rule.area, rule.multiple), Image.Resampling.LANCZOS)
    image = image.resize(looked_at(image.width, image.height, rule), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _patches(pixels: npt.NDArray[np.uint8], rule: PictureRule) -> npt.NDArray[np.uint8]:
    """[rows of squares, columns of squares, merge, merge, 3, patch, patch]: a square's patches follow each other."""
    rows, columns = (side // (rule.patch * rule.merge) for side in pixels.shape[:2])
    cut = pixels.reshape(rows, rule.merge, rule.patch, columns, rule.merge, rule.patch, _CHANNELS)
    return cut.transpose(0, 3, 1, 4, 6, 2, 5)
