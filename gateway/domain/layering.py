"""Taking a picture apart: what is asked for, what comes back; free of HTTP."""

from dataclasses import dataclass
from typing import Protocol

from gateway.domain.edits import PictureFile
from gateway.domain.layers import LayersFormat
from gateway.domain.pictures import GenerateCommand, GenerateListener, Picture, PictureFormat, PictureSize, TokenUsage


@dataclass(frozen=True, slots=True)
class LayersWish:
    """How a picture is taken apart.

    `layers` None: as many as the model usually makes, less those that turn out empty. `resolution`: the model draws
    about its square of pixels. `output`: layers each as a picture in `format`, or all in one file. `decompose`: indices
    of layers, of those that are answered, which are taken apart again.
    """

    model: str
    prompt: str
    negative_prompt: str
    layers: int | None
    resolution: int
    seed: int
    steps: int
    guidance_scale: float
    scheduler: str
    output: LayersFormat
    format: PictureFormat
    deterministic: bool = False
    partial_images: int = 0
    decompose: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LayersCommand:
    """Take `source` apart: a picture that came in, or one that is drawn first."""

    source: PictureFile | GenerateCommand
    wish: LayersWish


@dataclass(frozen=True, slots=True)
class LayerBox:
    """Around what can be seen of a layer, in pixels of the whole picture."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class LayerPicture:
    """One layer of an answer, as large as the picture. `box` None: it is empty. `data` None: it is in the file of all.

    `parent`: the name of the layer that it is a part of.
    """

    index: int
    name: str
    parent: str | None
    box: LayerBox | None
    data: bytes | None


@dataclass(frozen=True, slots=True)
class LayersResult:
    """A finished LayersCommand; `layers` bottom to top. `psnr` of the composite against the picture that came in, in
    dB, None where they are the same. `file`: all of them, where it was asked for. `source`: the picture that was drawn
    first. `drawn`: the size that the model worked at. `warnings` are sentences for the caller.
    """

    layers: tuple[LayerPicture, ...]
    composite: bytes
    psnr: float | None
    size: PictureSize
    drawn: PictureSize
    file: bytes | None
    source: Picture | None
    usage: TokenUsage
    warnings: tuple[str, ...]


class TakesApart(Protocol):
    """Does LayersCommands; `gateway.pipelines.layers.pipeline.LayersPipeline` is the one."""

    async def run(self, command: LayersCommand, listener: GenerateListener | None) -> LayersResult:
        """Waits for a permit. The listener's pictures are layers, by their index, at the size that the model draws.

        Raises GatewayError; cancelled like any task, with nothing left running.
        """
        ...
