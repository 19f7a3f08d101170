"""Alpha at a layer's outer edge, held against the picture: a rim that was drawn too narrow would stay below the layer.

Colours are corrected until the composite is the picture, so where a layer is drawn too thin, the outline of what it
shows is painted onto the one below, and is found there by whoever takes the layer away.
"""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter, minimum_filter

from gateway.domain.layers import Sheet
from gateway.pipelines.layers.opacity import weights

_Bytes = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float32]

_THIN, _THICK = 0.3 * 255, 0.7 * 255
"""An edge is a pixel off something thicker than thin and off something thinner than thick, and two pixels off something
thick and off something thin: in the middle of a translucent layer there is none.
"""
_OTHERS = 0.3
"""How much the layers between may cover: an edge on another layer's cloth is the model's to say."""
_TRUST = np.float32(50.0)
"""Levels of 255 by which a layer must differ from what lies below for the picture to count as much as the drawing."""


def fitted_to(source: Sheet, layers: _Bytes) -> _Bytes:
    """The alphas [layers, height, width] of `layers` [layers, height, width, 4], bottom to top, at edges such that
    colours need the least correction; `source` is opaque and of their size.
    """
    alphas = layers[..., 3].copy()
    alphas[0] = 255
    for layer in reversed(range(1, len(layers))):
        edge = _outer_edge(alphas, layer)
        if edge.any():
            wanted, colours = source[edge][:, :3].astype(np.float32), layers[:, edge, :3].astype(np.float32)
            alphas[layer, edge] = _best(wanted, colours, alphas[:, edge], layer)
    return alphas


def _outer_edge(alphas: _Bytes, layer: int) -> npt.NDArray[np.bool_]:
    most, least = (tuple(found(alphas[layer], size) for size in (3, 5)) for found in (maximum_filter, minimum_filter))
    edge: npt.NDArray[np.bool_] = (most[0] > _THIN) & (least[0] < _THICK) & (most[1] > _THICK) & (least[1] < _THIN)
    others = [other for other in range(1, len(alphas)) if other != layer]
    covered = weights(alphas[others][:, edge]).sum(axis=0)
    edge[edge] = covered < _OTHERS
    return edge


def _best(wanted: _Floats, colours: _Floats, alphas: _Bytes, layer: int) -> _Bytes:
    """Of the line from the composite without the layer to that with it, the point next to `wanted` [pixels, 3], drawn
    towards the alpha that is there by `_TRUST`.
    """
    without, whole = (_composite(colours, _with(alphas, layer, alpha)) for alpha in (0, 255))
    way, drawn = whole - without, alphas[layer].astype(np.float32) / np.float32(255)
    trust = _TRUST * _TRUST
    best = (((wanted - without) * way).sum(axis=-1) + trust * drawn) / ((way * way).sum(axis=-1) + trust)
    fitted: _Bytes = np.rint(np.clip(best, 0, 1) * 255).astype(np.uint8)
    return fitted


def _with(alphas: _Bytes, layer: int, alpha: int) -> _Bytes:
    changed = alphas.copy()
    changed[layer] = alpha
    return changed


def _composite(colours: _Floats, alphas: _Bytes) -> _Floats:
    """[pixels, 3] of colours [layers, pixels, 3]."""
    composite: _Floats = (weights(alphas)[..., None] * colours).sum(axis=0)
    return composite
