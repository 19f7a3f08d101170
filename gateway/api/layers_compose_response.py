"""The answer of `/v1/images/layers/compose`."""

import time
from typing import Literal

from pydantic import BaseModel, Field

from gateway.api.layers_response import LayersFile
from gateway.api.placing import Keep, place
from gateway.domain.composing import ComposeCommand, ComposeResult
from gateway.pipelines.layers.files import file_type


class ComposedImage(BaseModel):
    """The picture that the layers make."""

    b64_json: str | None = Field(default=None, description="The file in base64, with `response_format` b64_json.")
    url: str | None = Field(default=None, description="Where to fetch the file, with `response_format` url.")


class ComposeResponse(BaseModel):
    """One picture, in OpenAI's form."""

    created: int = Field(description="Unix time in seconds.")
    data: list[ComposedImage] = Field(description="One.")
    layers: int = Field(description="How many it was made of.")
    size: str = Field(examples=["768x1024"])
    background: Literal["opaque", "transparent"] = Field(description="Whether something shines through the picture.")
    output_format: str = Field(examples=["png"])
    file: LayersFile | None = None


async def composed_answer(result: ComposeResult, command: ComposeCommand, keep: Keep | None) -> ComposeResponse:
    """`keep` None: files are in the answer. Raises StoreUnavailable."""
    picture = await place(result.picture, command.format.file_type, keep)
    return ComposeResponse(
        created=int(time.time()),
        data=[ComposedImage(b64_json=picture.b64_json, url=picture.url)],
        layers=len(command.layers),
        size=str(result.size),
        background="opaque" if result.opaque else "transparent",
        output_format=command.format.value,
        file=await _file(result, command, keep),
    )


async def _file(result: ComposeResult, command: ComposeCommand, keep: Keep | None) -> LayersFile | None:
    if result.file is None or command.output is None:
        return None
    where = await place(result.file, file_type(command.output), keep)
    return LayersFile(format=command.output, b64_json=where.b64_json, url=where.url)
