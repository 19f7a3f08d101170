"""A try-on in miniature without a model: reads, masks, draws, pastes and writes a picture made from a seed."""

import hashlib
import io
import time
from dataclasses import dataclass

import numpy as np

from families.tryon.parts import BodyPart, Category
from families.vision.joints import JOINTS
from gateway.domain.edits import PictureFile
from gateway.domain.pictures import PictureEncoding, PictureFormat, PictureSize
from gateway.domain.tryon import MergeStyle
from gateway.domain.tryon_drawing import Rgb
from gateway.domain.vision import Labels, Parse
from gateway.pipelines.frame import Box
from gateway.pipelines.imaging import encode_picture
from gateway.pipelines.incoming import read_picture
from gateway.pipelines.tryon.crop import Window
from gateway.pipelines.tryon.region import worked_out
from gateway.pipelines.tryon.restore import restore

_SIDE, _SCALE = 64, 2
_LOSSLESS = PictureEncoding(PictureFormat.PNG, 100, embed_parameters=False)
_FIGURE = (
    (BodyPart.HAIR, 4, 10, 26, 38),
    (BodyPart.FACE, 10, 18, 27, 37),
    (BodyPart.ARMS, 18, 40, 18, 46),
    (BodyPart.TOP, 18, 38, 24, 40),
    (BodyPart.BOTTOMS, 38, 56, 24, 40),
    (BodyPart.SHOES, 56, 60, 24, 40),
)
"""Part, first and last row, first and last column."""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """`digest`: SHA-256 of the finished pixels; the same seed and libraries give the same one."""

    seed: int
    read_back: bool
    outside_kept: bool
    inside_drawn: bool
    repeatable: bool
    digest: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Everything was as it must be."""
        return self.read_back and self.outside_kept and self.inside_drawn and self.repeatable


def self_test(seed: int) -> SelfTest:
    """Some hundredths of a second of one core; needs no model, no network and no disk."""
    began = time.perf_counter()
    photograph = _photograph(seed)
    file = encode_picture(photograph, _LOSSLESS, "")
    read = read_picture(PictureFile("self_test", io.BytesIO(file)), photograph.size).pixels
    finished, mask = _dressed(read, seed)
    again, _ = _dressed(photograph, seed)
    return SelfTest(
        seed=seed,
        read_back=np.array_equal(read, photograph),
        outside_kept=bool(mask.any()) and np.array_equal(finished[~mask], photograph[~mask]),
        inside_drawn=not np.array_equal(finished[mask], photograph[mask]),
        repeatable=np.array_equal(finished, again),
        digest=hashlib.sha256(finished.tobytes()).hexdigest(),
        seconds=time.perf_counter() - began,
    )


def _photograph(seed: int) -> Rgb:
    side = _SIDE * _SCALE
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def _dressed(photograph: Rgb, seed: int) -> tuple[Rgb, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """In a top of one colour; and where it was put."""
    size, drawn = PictureSize(photograph.shape[1], photograph.shape[0]), PictureSize(_SIDE, _SIDE)
    window = Window(Box(0, 0, size.width, size.height), size, drawn)
    person = Parse(_figure(), np.zeros((len(JOINTS), 3), np.float32))
    region = worked_out(person, window, Category.TOPS, frozenset())
    colour = np.random.default_rng(seed + 1).integers(0, 256, 3, dtype=np.uint8)
    drawing = np.broadcast_to(colour, (_SIDE, _SIDE, 3)).copy()
    return restore(photograph, drawing, region, MergeStyle.BALANCED), region.mask


def _figure() -> Labels:
    labels = np.full((_SIDE, _SIDE), BodyPart.BACKGROUND.label, np.uint8)
    for part, top, bottom, left, right in _FIGURE:
        labels[top:bottom, left:right] = part.label
    return labels
