"""Vision models on pictures of any size: shown as the model takes them, their answers in the picture's own pixels."""

import asyncio
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from families.tensors import Array
from families.vision.joints import JOINTS
from families.vision.manifest import VisionTask
from families.vision.signature import ALPHA, KEYPOINTS, PARTS
from families.vision.size import Fit
from families.vision.source import VisionSource
from gateway.domain.backend import InferenceBackend, Pixels
from gateway.domain.errors import ModelNotFound
from gateway.domain.vision import Keypoints, Labels, Parse

_Bytes = npt.NDArray[np.uint8]


class VisionModels:
    """What looks at pictures of people and garments. A pose model's joints take the place of the parser's own.

    `deterministic` calls share no batch: the same picture gives the same answer to the bit, alone and in a crowd.
    Others are batched with whoever else asks, and may differ by rounding.
    """

    def __init__(
        self,
        backend: InferenceBackend,
        parser: VisionSource,
        pose: VisionSource | None = None,
        matting: VisionSource | None = None,
    ) -> None:
        self._backend = backend
        self._parser = parser
        self._pose = pose
        self._matting = matting

    async def parse(self, pixels: Pixels, *, deterministic: bool) -> Parse:
        """uint8 [height, width, 3]. Raises the BackendError family."""
        if self._pose is None:
            answers = await self._look(self._parser, pixels, deterministic)
            labels = await asyncio.to_thread(_labels, answers, pixels)
            return Parse(labels, _keypoints(answers, pixels))
        seen, posed = await asyncio.gather(
            self._look(self._parser, pixels, deterministic), self._look(self._pose, pixels, deterministic)
        )
        return Parse(await asyncio.to_thread(_labels, seen, pixels), _keypoints(posed, pixels))

    async def alpha(self, pixels: Pixels, *, deterministic: bool) -> npt.NDArray[np.uint8] | None:
        """How much of each pixel is the subject's, in 255ths, uint8 [height, width]; None where no model tells."""
        if self._matting is None:
            return None
        answers = await self._look(self._matting, pixels, deterministic)
        plane = answers.arrays[ALPHA.name][0].astype(np.uint8, copy=False)
        return await asyncio.to_thread(_enlarged, plane, answers.fit, pixels.shape[0], pixels.shape[1])

    async def _look(self, source: VisionSource, pixels: Pixels, deterministic: bool) -> "_Answers":
        fit = source.manifest.size.fit(pixels.shape[0], pixels.shape[1])
        shown = await asyncio.to_thread(_fitted, pixels, fit)
        tensors = await self._backend.look(source.name, shown[None], deterministic=deterministic)
        return _Answers(fit, {tensor.name: tensor.array for tensor in tensors})


class _Answers:
    """What a model said about one picture, which was shown as `fit` says."""

    def __init__(self, fit: Fit, arrays: Mapping[str, Array]) -> None:
        self.fit = fit
        self.arrays = arrays


def chosen_vision(models: Mapping[str, VisionSource], name: str, task: VisionTask) -> VisionSource:
    """The model of this name. Raises ModelNotFound listing those of the task."""
    source = models.get(name)
    if source is None or source.manifest.task is not task:
        known = ", ".join(sorted(other.name for other in models.values() if other.manifest.task is task)) or "none"
        raise ModelNotFound(f"no {task} is called {name[:200]!r}; served are {known}", param="model")
    return source


def _fitted(pixels: Pixels, fit: Fit) -> _Bytes:
    """[padded height, padded width, 3]; beyond the picture its edge goes on."""
    height, width = pixels.shape[:2]
    if (height, width) != (fit.height, fit.width):
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        pixels = np.asarray(picture.resize((fit.width, fit.height), Image.Resampling.BICUBIC))
    below, beside = fit.padded_height - fit.height, fit.padded_width - fit.width
    return np.pad(pixels, ((0, below), (0, beside), (0, 0)), mode="edge")


def _enlarged(plane: _Bytes, fit: Fit, height: int, width: int) -> _Bytes:
    """A plane over the padded picture as one over the picture, [height, width]: smooth, so that edges hug."""
    rows = plane.shape[0] * fit.height / fit.padded_height
    columns = plane.shape[1] * fit.width / fit.padded_width
    if (rows, columns) == (height, width):
        return plane[:height, :width]
    picture = Image.fromarray(np.ascontiguousarray(plane))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=(0.0, 0.0, columns, rows)))


def _labels(answers: _Answers, pixels: Pixels) -> Labels:
    """The part that has most of each pixel. One plane at a time: pictures may be large."""
    height, width = pixels.shape[:2]
    most = np.zeros((height, width), np.uint8)
    labels = np.zeros((height, width), np.uint8)
    for label, plane in enumerate(answers.arrays[PARTS.name][0]):
        if not plane.any():
            continue
        shares = _enlarged(plane.astype(np.uint8, copy=False), answers.fit, height, width)
        more = shares > most
        labels[more] = label
        np.maximum(most, shares, out=most)
    return labels


def _keypoints(answers: _Answers, pixels: Pixels) -> Keypoints:
    """In the picture's pixels; no confidence where the model does not look for joints."""
    found = answers.arrays.get(KEYPOINTS.name)
    if found is None:
        return np.zeros((len(JOINTS), 3), np.float32)
    height, width = pixels.shape[:2]
    points: Keypoints = found[0].astype(np.float32)
    points[:, 0] = np.clip(points[:, 0] * (width / answers.fit.width), 0, width)
    points[:, 1] = np.clip(points[:, 1] * (height / answers.fit.height), 0, height)
    return points
