"""How the colours of a layer and of what lies below it become one: the separable modes of W3C's "Compositing and
Blending", by its names.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Colours = npt.NDArray[np.float32]
"""[..., 3], 0 to 1."""

_WHITE = 1 - 1e-6

Blending = Callable[[Colours, Colours], Colours]
"""Of the backdrop and the source, in this order."""


class BlendMode(StrEnum):
    """By their CSS names."""

    NORMAL = "normal"
    MULTIPLY = "multiply"
    SCREEN = "screen"
    OVERLAY = "overlay"
    DARKEN = "darken"
    LIGHTEN = "lighten"
    COLOR_DODGE = "color-dodge"
    COLOR_BURN = "color-burn"
    HARD_LIGHT = "hard-light"
    SOFT_LIGHT = "soft-light"
    DIFFERENCE = "difference"
    EXCLUSION = "exclusion"


def blend(mode: BlendMode, backdrop: Colours, source: Colours) -> Colours:
    """B(backdrop, source) of the specification."""
    return _MODES[mode](backdrop, source)


def _normal(_: Colours, source: Colours) -> Colours:
    return source


def _multiply(backdrop: Colours, source: Colours) -> Colours:
    return backdrop * source


def _screen(backdrop: Colours, source: Colours) -> Colours:
    return backdrop + source - backdrop * source


def _overlay(backdrop: Colours, source: Colours) -> Colours:
    return _hard_light(source, backdrop)


def _darken(backdrop: Colours, source: Colours) -> Colours:
    return np.minimum(backdrop, source)


def _lighten(backdrop: Colours, source: Colours) -> Colours:
    return np.maximum(backdrop, source)


def _color_dodge(backdrop: Colours, source: Colours) -> Colours:
    with np.errstate(divide="ignore", invalid="ignore"):
        lit = np.minimum(1, backdrop / (1 - source))
    return np.where(backdrop == 0, np.float32(0), np.where(source == 1, np.float32(1), lit))


def _color_burn(backdrop: Colours, source: Colours) -> Colours:
    with np.errstate(divide="ignore", invalid="ignore"):
        burnt = 1 - np.minimum(1, (1 - backdrop) / source)
    # A translucent white comes out of its division by alpha a hair darker.
    return np.where(backdrop >= _WHITE, np.float32(1), np.where(source == 0, np.float32(0), burnt))


def _hard_light(backdrop: Colours, source: Colours) -> Colours:
    return np.where(source <= 0.5, _multiply(backdrop, 2 * source), _screen(backdrop, 2 * source - 1))


def _soft_light(backdrop: Colours, source: Colours) -> Colours:
    curve = np.where(backdrop <= 0.25, ((16 * backdrop - 12) * backdrop + 4) * backdrop, np.sqrt(backdrop))
    darker = backdrop - (1 - 2 * source) * backdrop * (1 - backdrop)
    blended: Colours = np.where(source <= 0.5, darker, backdrop + (2 * source - 1) * (curve - backdrop))
    return blended


def _difference(backdrop: Colours, source: Colours) -> Colours:
    apart: Colours = np.abs(backdrop - source)
    return apart


def _exclusion(backdrop: Colours, source: Colours) -> Colours:
    return backdrop + source - 2 * backdrop * source


_MODES: Mapping[BlendMode, Blending] = {
    BlendMode.NORMAL: _normal,
    BlendMode.MULTIPLY: _multiply,
    BlendMode.SCREEN: _screen,
    BlendMode.OVERLAY: _overlay,
    BlendMode.DARKEN: _darken,
    BlendMode.LIGHTEN: _lighten,
    BlendMode.COLOR_DODGE: _color_dodge,
    BlendMode.COLOR_BURN: _color_burn,
    BlendMode.HARD_LIGHT: _hard_light,
    BlendMode.SOFT_LIGHT: _soft_light,
    BlendMode.DIFFERENCE: _difference,
    BlendMode.EXCLUSION: _exclusion,
}
