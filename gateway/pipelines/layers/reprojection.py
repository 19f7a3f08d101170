"""The layers' colours made to show together exactly the picture.

Of all ways to do so the one that changes them least, within what a byte can hold. What rounding to bytes then leaves is
made up for by the layer that is seen most: less than half a byte remains, which the composite's own rounding takes.
"""

import numpy as np
import numpy.typing as npt

from gateway.domain.layers import Sheet
from gateway.pipelines.layers.opacity import weights

_Floats = npt.NDArray[np.float32]

_NEAR = 0.01
"""Of 255; the rounding's own residue is larger."""


def reprojected(source: Sheet, layers: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """`layers` [layers, height, width, 4], bottom to top, in other colours; their alphas add up to the source's."""
    seen = weights(layers[..., 3])
    # Not the source's alpha: that of the layers is a rounding beside it, which is not to be made up for in colours.
    wanted = source[..., :3].astype(np.float32) * seen.sum(axis=0)[..., None]
    colours = _corrected(wanted, layers[..., :3].astype(np.float32), seen[..., None])
    finished = np.concatenate([_rounded(wanted, colours, seen), layers[..., 3:]], axis=-1)
    finished[layers[..., 3] == 0] = 0
    return finished


def _corrected(wanted: _Floats, colours: _Floats, seen: _Floats) -> _Floats:
    """The least change; a colour that would leave 0 to 255 stays at the end, and the others take over its part."""
    for _ in range(len(colours)):
        missing = wanted - (seen * colours).sum(axis=0)
        if np.abs(missing).max(initial=0) < _NEAR:
            break
        free = np.where(missing > 0, colours < 255, colours > 0) * seen
        power = (free * free).sum(axis=0)
        step = missing / np.where(power > 0, power, 1)
        colours = np.clip(colours + step * free, 0, 255)
    return colours


def _rounded(wanted: _Floats, colours: _Floats, seen: _Floats) -> npt.NDArray[np.uint8]:
    whole = np.rint(colours)
    missing = wanted - (seen[..., None] * whole).sum(axis=0)
    most = seen.argmax(axis=0)[None]
    share = np.take_along_axis(seen, most, axis=0)[0, ..., None]
    chosen = np.take_along_axis(whole, most[..., None], axis=0)[0]
    made_up = chosen + missing / np.where(share > 0, share, 1)
    np.put_along_axis(whole, most[..., None], np.clip(np.rint(made_up), 0, 255)[None], axis=0)
    return whole.astype(np.uint8)
