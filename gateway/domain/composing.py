"""Layers that came in, put together: what is asked for, what comes back; free of HTTP."""

from dataclasses import dataclass
from typing import Protocol

from gateway.domain.edits import PictureFile
from gateway.domain.layers import LayersFormat
from gateway.domain.pictures import PictureFormat, PictureSize

MOST_LAYERS = 40
"""More than any model makes, with one of its layers taken apart again and again."""


@dataclass(frozen=True, slots=True)
class ComposedLayer:
    """A layer's picture and how it lies: see `gateway.pipelines.layers.placed.Placed`. `blend`: a mode's CSS name."""

    picture: PictureFile
    name: str
    x: int
    y: int
    opacity: float
    visible: bool
    blend: str


@dataclass(frozen=True, slots=True)
class ComposeCommand:
    """`layers` bottom to top, at least one. `size` None: the lowest layer's. `background` None: transparent.

    `format`: of the picture. `output`: a file of the layers besides it.
    """

    layers: tuple[ComposedLayer, ...]
    size: PictureSize | None
    background: tuple[int, int, int] | None
    format: PictureFormat
    output: LayersFormat | None


@dataclass(frozen=True, slots=True)
class ComposeResult:
    """A finished ComposeCommand. `opaque`: nothing shines through the picture."""

    picture: bytes
    size: PictureSize
    opaque: bool
    file: bytes | None


class Composes(Protocol):
    """Does ComposeCommands; `gateway.pipelines.layers.composer.Composer` is the one."""

    async def run(self, command: ComposeCommand) -> ComposeResult:
        """Raises InvalidRequest naming the field, Overloaded."""
        ...
