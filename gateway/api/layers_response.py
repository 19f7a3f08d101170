"""Answers of `/v1/images/layers`, whole or as stream events."""

import time
from typing import Literal

from pydantic import BaseModel, Field, RootModel

from gateway.api.generation_response import Usage, whole_usage
from gateway.api.placing import Keep, Place, place
from gateway.domain.edits import PictureFile
from gateway.domain.layering import LayerPicture, LayersCommand, LayersResult
from gateway.domain.layers import LayersFormat
from gateway.domain.pictures import GenerateCommand, Picture
from gateway.pipelines.layers.files import file_type


class _Placed(BaseModel):
    b64_json: str | None = Field(default=None, description="The file in base64, with `response_format` b64_json.")
    url: str | None = Field(default=None, description="Where to fetch the file, with `response_format` url.")


class BoundingBox(RootModel[tuple[int, int, int, int] | None]):
    """Around what can be seen: x, y, width and height in pixels of the picture; null where nothing can."""


class Decibels(RootModel[float | None]):
    """Null: there is no difference at all."""


class LayerData(_Placed):
    """One layer, as large as the picture; its file is RGBA. Without a file where all are in one."""

    layer_index: int = Field(description="0 is the bottom.")
    name: str = Field(examples=["top"])
    parent: str | None = Field(default=None, description="The layer that this is a part of, with `decompose`.")
    bbox: BoundingBox
    empty: bool = Field(description="Whether nothing of it can be seen.")


class CompositeData(_Placed):
    """All layers over one another."""


class SourceData(_Placed):
    """The picture that was drawn first, with `generate`."""

    model: str
    seed: int
    size: str = Field(examples=["128x128"])


class LayersFile(_Placed):
    """All layers in one file, with an `output` other than list."""

    format: LayersFormat = Field(examples=["psd"])


class LayersResponse(BaseModel):
    """A picture taken apart; `data` from the bottom to the top."""

    created: int = Field(description="Unix time in seconds.")
    model: str
    seed: int = Field(description="Repeats this answer.")
    layers: int = Field(description="How many there are in `data`.")
    data: list[LayerData]
    composite: CompositeData
    recomposition_psnr: Decibels = Field(description="Of the composite against the picture that came in, in dB.")
    size: str = Field(description="Of the picture, and of every layer.", examples=["1024x768"])
    resolution: int = Field(description="The model drew about its square of pixels.", examples=[640])
    drawn_size: str = Field(description="What the model drew.", examples=["736x544"])
    output_format: str = Field(examples=["png"])
    source: SourceData | None = None
    file: LayersFile | None = None
    usage: Usage
    warnings: list[str] | None = Field(default=None, description="What the caller should know.")


class LayersProgressEvent(BaseModel):
    """More of the drawing is done."""

    type: Literal["image_layers.progress"] = "image_layers.progress"
    progress: float = Field(description="0 to 1; never falls.")


class LayersPartialImageEvent(BaseModel):
    """An estimate of a layer while it forms, at the size that the model draws.

    Every layer comes under each `partial_image_index`. With `layers` auto empty layers come too: the answer's indices
    leave them out.
    """

    type: Literal["image_layers.partial_image"] = "image_layers.partial_image"
    b64_json: str
    layer_index: int
    partial_image_index: int
    created_at: int
    size: str
    output_format: str


class LayersCompletedEvent(LayersResponse):
    """The last event: what the route answers without `stream`."""

    type: Literal["image_layers.completed"] = "image_layers.completed"


LAYERS_EVENTS = (LayersProgressEvent, LayersPartialImageEvent, LayersCompletedEvent)


async def whole_answer(result: LayersResult, command: LayersCommand, keep: Keep | None) -> LayersResponse:
    """`keep` None: files are in the answer. Raises StoreUnavailable."""
    wish = command.wish
    file_type, nowhere = wish.format.file_type, Place(None, None)
    data = [
        _layer(layer, nowhere if layer.data is None else await place(layer.data, file_type, keep))
        for layer in result.layers
    ]
    composite = await place(result.composite, file_type, keep)
    return LayersResponse(
        created=int(time.time()),
        model=wish.model,
        seed=wish.seed,
        layers=len(data),
        data=data,
        composite=CompositeData(b64_json=composite.b64_json, url=composite.url),
        recomposition_psnr=Decibels(None if result.psnr is None else round(result.psnr, 2)),
        size=str(result.size),
        resolution=wish.resolution,
        drawn_size=str(result.drawn),
        output_format=wish.format.value,
        source=await _source(result.source, command.source, keep),
        file=await _file(result.file, wish.output, keep),
        usage=whole_usage(result.usage),
        warnings=list(result.warnings) or None,
    )


async def _source(
    drawn: Picture | None, command: PictureFile | GenerateCommand, keep: Keep | None
) -> SourceData | None:
    if drawn is None or isinstance(command, PictureFile):
        return None
    where = await place(drawn.data, command.encoding.format.file_type, keep)
    return SourceData(
        model=command.model, seed=drawn.seed, size=str(drawn.size), b64_json=where.b64_json, url=where.url
    )


async def _file(data: bytes | None, output: LayersFormat, keep: Keep | None) -> LayersFile | None:
    if data is None:
        return None
    where = await place(data, file_type(output), keep)
    return LayersFile(format=output, b64_json=where.b64_json, url=where.url)


def _layer(layer: LayerPicture, where: Place) -> LayerData:
    box = layer.box
    return LayerData(
        layer_index=layer.index,
        name=layer.name,
        parent=layer.parent,
        bbox=BoundingBox(None if box is None else (box.x, box.y, box.width, box.height)),
        empty=box is None,
        b64_json=where.b64_json,
        url=where.url,
    )
