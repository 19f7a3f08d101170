"""Training samples of the parser: a picture of one of three kinds, put anywhere at any scale, and spoilt a little."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageFilter
from torch.nn import functional

from wardrobe.training.parser_corpus import ParserCorpus
from wardrobe.training.parser_net import HEATMAP_STRIDE
from wardrobe.world.attributes import Background, Part, TopKind
from wardrobe.world.backgrounds import draw_background
from wardrobe.world.canvas import SIZE, Pixels, compose
from wardrobe.world.keypoints import KEYPOINTS, Keypoints, mirrored_keypoints
from wardrobe.world.render import FLAT_LAY_BACKGROUND, PARTS, flat_lay_sheet
from wardrobe.world.scene import BACKDROP_VARIANTS, Garment, Top, sample_scene

PEOPLE_SHARE = 0.68
FLAT_LAY_SHARE = 0.22
"""The rest shows nobody and nothing to wear."""
SOFT_SHARE = 0.3
HEATMAP_SIGMA = 1.0  # cells


@dataclass(frozen=True, slots=True)
class Sample:
    """image: uint8 [H, W, 3]; labels: uint8 [H, W]; keypoints: float32 [K, 2] or None where nobody is."""

    image: Pixels
    labels: Pixels
    keypoints: Keypoints | None


def part_of(garment: Garment) -> Part:
    """The part that the pixels of a garment belong to."""
    if not isinstance(garment, Top):
        return Part.BOTTOMS
    return Part.DRESS if garment.kind is TopKind.DRESS else Part.TOP


def flat_lay_sample(garment: Garment, ground: tuple[int, int, int] = FLAT_LAY_BACKGROUND) -> Sample:
    """A garment laid flat on a plain ground."""
    sheet = flat_lay_sheet(garment)
    image = compose([np.full((SIZE, SIZE, 4), (*ground, 255), np.uint8), sheet])
    labels = np.where(sheet[..., 3] > 127, PARTS.index(part_of(garment)), 0).astype(np.uint8)
    return Sample(image, labels, None)


def draw_sample(corpus: ParserCorpus, rng: np.random.Generator) -> Sample:
    """A picture of 128x128 of a random kind."""
    kind = rng.random()
    if kind < PEOPLE_SHARE:
        soft = rng.random() < SOFT_SHARE
        source = corpus.softened if soft else corpus.images
        row = int(rng.integers(len(source)))
        return Sample(np.array(source[row]), np.array(corpus.labels[row]), np.array(corpus.keypoints[row]))
    if kind < PEOPLE_SHARE + FLAT_LAY_SHARE:
        scene = sample_scene(rng)
        garment = scene.bottoms if scene.bottoms is not None and rng.random() < 0.5 else scene.top
        return flat_lay_sample(garment, FLAT_LAY_BACKGROUND if rng.random() < 0.5 else _colour(rng))
    return Sample(_empty_place(rng), np.zeros((SIZE, SIZE), np.uint8), None)


def place(sample: Sample, size: int, rng: np.random.Generator, exact: float = 0.3) -> Sample:
    """The sample scaled by about `size` / 128 and shifted on a canvas of `size`, padded or cut; mirrored or not.

    `exact`: share of samples that fill the canvas exactly.
    """
    scale = size / SIZE * (1.0 if rng.random() < exact else float(rng.uniform(0.72, 1.12)))
    side = max(16, round(SIZE * scale))
    image, labels = sample.image, sample.labels
    if side != SIZE:
        image = np.asarray(Image.fromarray(image).resize((side, side), _filter(rng)))
        labels = resize_labels(labels, side)
    points = None if sample.keypoints is None else sample.keypoints * np.float32(side / SIZE)
    room = size - side
    shift = [int(rng.integers(min(0, room), max(0, room) + 1)) for _ in range(2)]
    canvas = _padded(image, size, (shift[0], shift[1]), rng)
    marked = np.zeros((size, size), np.uint8)
    target, source = _windows(size, side, (shift[0], shift[1]))
    marked[target] = labels[source]
    if points is not None:
        points = points + np.array([shift[1], shift[0]], np.float32)
    if rng.random() < 0.5:
        canvas, marked = np.ascontiguousarray(canvas[:, ::-1]), np.ascontiguousarray(marked[:, ::-1])
        points = None if points is None else mirrored_keypoints(points, size)
    return Sample(canvas, marked, points)


def spoil(image: Pixels, rng: np.random.Generator) -> Pixels:
    """What generated or transported pictures suffer: blur, JPEG, noise, other light and colours."""
    pixels = image
    if rng.random() < 0.25:
        pixels = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.2)))))
    if rng.random() < 0.2:
        packed = io.BytesIO()
        Image.fromarray(pixels).save(packed, "JPEG", quality=int(rng.integers(35, 95)))
        pixels = np.asarray(Image.open(packed))
    if rng.random() < 0.3:
        return pixels
    changed = pixels.astype(np.float32) * rng.uniform(0.85, 1.15, 3).astype(np.float32)
    changed += float(rng.uniform(-14, 14))
    if rng.random() < 0.3:
        changed += rng.standard_normal(changed.shape, dtype=np.float32) * float(rng.uniform(1, 8))
    return changed.clip(0, 255).astype(np.uint8)


def heatmaps(points: Keypoints | None, size: int) -> npt.NDArray[np.float32]:
    """A bell around each keypoint, 1 at its top; float32 [K, size / 4, size / 4]. Keypoints outside have none."""
    cells = size // HEATMAP_STRIDE
    if points is None:
        return np.zeros((len(KEYPOINTS), cells, cells), np.float32)
    centres = np.arange(cells, dtype=np.float32) + 0.5
    along_x = np.exp(-((centres - points[:, :1] / HEATMAP_STRIDE) ** 2) / (2 * HEATMAP_SIGMA**2))
    along_y = np.exp(-((centres - points[:, 1:] / HEATMAP_STRIDE) ** 2) / (2 * HEATMAP_SIGMA**2))
    inside = ((points >= 0) & (points < size)).all(1)
    bells: npt.NDArray[np.float32] = along_y[:, :, None] * along_x[:, None, :] * inside[:, None, None]
    return bells.astype(np.float32)


def resize_labels(labels: Pixels, side: int) -> Pixels:
    """Each pixel gets the part that covers most of it; uint8 [side, side]."""
    shares = functional.one_hot(torch.from_numpy(labels.astype(np.int64)), len(PARTS)).permute(2, 0, 1)[None].float()
    shrinks = side < labels.shape[0]
    resized = functional.interpolate(shares, (side, side), mode="bilinear", align_corners=False, antialias=shrinks)
    chosen: Pixels = resized[0].argmax(0).to(torch.uint8).numpy()
    return chosen


def _filter(rng: np.random.Generator) -> Image.Resampling:
    filters = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    return filters[int(rng.integers(len(filters)))]


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
    return red, green, blue


def _empty_place(rng: np.random.Generator) -> Pixels:
    if rng.random() < 0.7:
        places = list(Background)
        pixels = draw_background(places[int(rng.integers(len(places)))], int(rng.integers(BACKDROP_VARIANTS)))
        return np.ascontiguousarray(pixels[..., :3])
    # noise of some size: from plain to speckled
    cells = int(rng.choice([1, 2, 4, 8, 16, 64, 128]))
    speckles = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    return np.asarray(speckles.resize((SIZE, SIZE), _filter(rng)))


def _windows(size: int, side: int, shift: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where on the canvas, and where in the picture, the part of the picture lies that is on the canvas."""
    target = tuple(slice(max(0, s), min(size, s + side)) for s in shift)
    source = tuple(slice(max(0, -s), min(side, size - s)) for s in shift)
    return (target[0], target[1]), (source[0], source[1])


def _padded(image: Pixels, size: int, shift: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Beyond the picture its edge goes on, or there is one colour."""
    side = image.shape[0]
    if rng.random() < 0.5:
        rows, columns = (np.clip(np.arange(size) - s, 0, side - 1) for s in shift)
        return np.ascontiguousarray(image[rows][:, columns])
    canvas = np.empty((size, size, 3), np.uint8)
    canvas[...] = _colour(rng)
    target, source = _windows(size, side, shift)
    canvas[target] = image[source]
    return canvas
