"""From pictures to what a graph is shown, and from its numbers to parts, keypoints and alpha."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from families.tensors import Array
from families.tryon.parts import BodyPart
from families.vision.joints import JOINTS, Joint
from families.vision.manifest import Activation, Heatmaps, PartScores, SimCC, VisionManifest

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


def shown(pixels: Bytes, manifest: VisionManifest) -> Floats:
    """uint8 [n, height, width, 3] as the graph's input. Raises ValueError for a size that it does not take."""
    if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be uint8 [n, height, width, 3], got {pixels.dtype} {list(pixels.shape)}")
    height, width = pixels.shape[1:3]
    if not manifest.size.allows(height, width):
        raise ValueError(f"pixels are {height}x{width} (height x width); allowed are {manifest.size.describe()}")
    rule = manifest.input
    values = (pixels.astype(np.float32) - np.array(rule.mean, np.float32)) / np.array(rule.std, np.float32)
    if rule.channels == "bgr":
        values = values[..., ::-1]
    return np.ascontiguousarray(values if rule.layout == "nhwc" else values.transpose(0, 3, 1, 2))


def read(outputs: Sequence[Array], manifest: VisionManifest, height: int, width: int) -> tuple[Array, ...]:
    """Outputs of `signature(manifest)` from those of the graph, which was shown pictures of this size.

    Raises ValueError naming the output that is not what the manifest says.
    """
    left = [np.asarray(output, dtype=np.float32) for output in outputs]
    answers: list[Array] = []
    if manifest.parts is not None:
        answers.append(_parts(left.pop(0), manifest.parts))
    if isinstance(manifest.keypoints, Heatmaps):
        answers.append(_of_heatmaps(left.pop(0), manifest.keypoints, height, width))
    elif manifest.keypoints is not None:
        answers.append(_of_simcc(left.pop(0), left.pop(0), manifest.keypoints))
    if manifest.alpha is not None:
        alpha = left.pop(0)
        alpha = alpha[:, 0] if alpha.ndim == 4 else alpha
        _expect(manifest.alpha.output, alpha, 3)
        answers.append(_bytes(_activated(alpha, manifest.alpha.activation)))
    return tuple(answers)


def _parts(scores: Floats, rule: PartScores) -> Bytes:
    _expect(rule.output, scores, 4, len(rule.labels))
    if scores.shape[1] != len(rule.labels):
        raise ValueError(f"output {rule.output!r} has {scores.shape[1]} classes, its manifest {len(rule.labels)}")
    shares = _activated(scores, rule.activation)
    parts = np.zeros((len(shares), len(BodyPart), *shares.shape[2:]), np.float32)
    for index, part in enumerate(rule.labels):
        parts[:, part.label] += shares[:, index]
    return _bytes(parts)


def _of_heatmaps(maps: Floats, rule: Heatmaps, height: int, width: int) -> Floats:
    """The peak of each map, between its cells: a bell's logarithm is a parabola."""
    _expect(rule.output, maps, 4, len(rule.joints))
    shares = np.clip(_activated(maps, rule.activation), 1e-6, 1.0)
    count, channels, rows, columns = shares.shape
    peaks = shares.reshape(count, channels, -1).argmax(2)
    y, x = np.divmod(peaks, columns)
    logs = np.log(np.pad(shares, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge"))
    image, channel = np.ogrid[:count, :channels]
    along_x = _between(*(logs[image, channel, y + 1, x + k] for k in range(3)))
    along_y = _between(*(logs[image, channel, y + k, x + 1] for k in range(3)))
    found = np.stack(
        [
            (x + 0.5 + along_x) * (width / columns),
            (y + 0.5 + along_y) * (height / rows),
            shares[image, channel, y, x],
        ],
        axis=2,
    )
    return _by_joint(found.astype(np.float32), rule.joints)


def _of_simcc(along_x: Floats, along_y: Floats, rule: SimCC) -> Floats:
    """The peaks of both axes; the lesser of them is the confidence."""
    _expect(rule.output_x, along_x, 3, len(rule.joints))
    _expect(rule.output_y, along_y, 3, len(rule.joints))
    confidence = np.minimum(along_x.max(2), along_y.max(2)).clip(0.0, 1.0)
    found = np.stack([along_x.argmax(2) / rule.split, along_y.argmax(2) / rule.split, confidence], axis=2)
    return _by_joint(found.astype(np.float32), rule.joints)


def _by_joint(found: Floats, joints: Sequence[Joint | None]) -> Floats:
    """[n, channels, 3] in the order of `Joint`. Who does not look for a neck has it between the shoulders."""
    sorted_ = np.zeros((len(found), len(JOINTS), 3), np.float32)
    for channel, joint in enumerate(joints):
        if joint is not None:
            sorted_[:, JOINTS.index(joint)] = found[:, channel]
    if Joint.NECK not in joints:
        left, right = (sorted_[:, JOINTS.index(side)] for side in (Joint.LEFT_SHOULDER, Joint.RIGHT_SHOULDER))
        neck = (left + right) / 2
        neck[:, 2] = np.minimum(left[:, 2], right[:, 2])
        sorted_[:, JOINTS.index(Joint.NECK)] = neck
    return sorted_


def _between(before: Floats, peak: Floats, after: Floats) -> Floats:
    """Where between -0.5 and 0.5 the parabola through three values at -1, 0 and 1 has its top."""
    curvature = before - 2 * peak + after
    offset = np.where(curvature < -1e-6, 0.5 * (before - after) / np.minimum(curvature, -1e-6), 0.0)
    clipped: Floats = np.clip(offset, -0.5, 0.5).astype(np.float32)
    return clipped


def _activated(values: Floats, activation: Activation) -> Floats:
    if activation is Activation.SIGMOID:
        result: Floats = (0.5 * (1.0 + np.tanh(0.5 * values))).astype(np.float32)
        return result
    if activation is Activation.SOFTMAX:
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        result = powers / powers.sum(axis=1, keepdims=True)
        return result
    return values


def _bytes(shares: Floats) -> Bytes:
    rounded: Bytes = np.rint(np.clip(shares, 0.0, 1.0) * 255).astype(np.uint8)
    return rounded


def _expect(output: str, values: Floats, axes: int, channels: int | None = None) -> None:
    if values.ndim != axes or (channels is not None and values.shape[1] < channels):
        wanted = f"{axes} axes" + ("" if channels is None else f" and at least {channels} channels")
        raise ValueError(f"output {output!r} is {list(values.shape)}, but its manifest says {wanted}")
