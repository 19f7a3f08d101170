"""The layers' alphas made to let through together exactly as much as the picture does."""

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float32]

_NEARLY = 4
"""Of 255: what is as near to nothing, or to opaque, was meant to be that."""


def settled(alphas: npt.NDArray[np.uint8], wanted: npt.NDArray[np.uint8], *, opaque: bool) -> npt.NDArray[np.uint8]:
    """`alphas` [layers, height, width], bottom to top, of a picture whose own alpha is `wanted` [height, width].

    `opaque`: the whole picture is; then its bottom layer is, and nothing shines through. Elsewhere what is missing is
    added to the layer that shows most, and what is too much is taken away from the bottom.
    """
    settled = np.where(alphas <= _NEARLY, 0, np.where(alphas >= 255 - _NEARLY, 255, alphas)).astype(np.uint8)
    if opaque:
        settled[0] = 255
        return settled
    settled = np.minimum(settled, wanted)
    _take_away(settled, wanted)
    _add(settled, wanted)
    return settled


def weights(alphas: npt.NDArray[np.uint8]) -> _Floats:
    """How much of each layer is seen [layers, height, width], 0 to 1."""
    through, seen = np.float32(1), np.empty(alphas.shape, dtype=np.float32)
    for layer in reversed(range(len(alphas))):
        alpha = alphas[layer].astype(np.float32) / np.float32(255)
        seen[layer] = alpha * through
        through = through * (1 - alpha)
    return seen


def _through(alphas: npt.NDArray[np.uint8]) -> _Floats:
    """1 - alpha, 0 to 1."""
    through: _Floats = (255 - alphas.astype(np.float32)) / np.float32(255)
    return through


def _take_away(alphas: npt.NDArray[np.uint8], wanted: npt.NDArray[np.uint8]) -> None:
    """In place, layer by layer from the bottom, until enough comes through."""
    target = _through(wanted)
    for layer in range(len(alphas)):
        lets = _through(alphas)
        others = np.delete(lets, layer, axis=0).prod(axis=0)
        # No layer is more opaque than the picture: what the others let through is nothing only where that is wanted.
        needed = np.minimum(1, target / np.maximum(others, np.float32(1e-9)))
        more = (needed > lets[layer]) & (others > 0)
        alphas[layer][more] = _alpha(needed)[more]


def _add(alphas: npt.NDArray[np.uint8], wanted: npt.NDArray[np.uint8]) -> None:
    """In place, to the layer that is seen most."""
    target, lets = _through(wanted), _through(alphas)
    most = weights(alphas).argmax(axis=0)[None]
    own = np.take_along_axis(lets, most, axis=0)[0]
    whole = lets.prod(axis=0)
    others = np.where(own > 0, whole / np.where(own > 0, own, 1), 0)
    missing = (whole > target) & (others > 0)
    needed = np.where(missing, target / np.where(missing, others, 1), own)
    np.put_along_axis(alphas, most, _alpha(np.minimum(needed, 1))[None], axis=0)


def _alpha(through: _Floats) -> npt.NDArray[np.uint8]:
    alpha: npt.NDArray[np.uint8] = np.rint((1 - through) * 255).astype(np.uint8)
    return alpha
