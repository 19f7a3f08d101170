"""From a request to compose to a complete command: everything is checked before a picture is fetched."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.api.given_body import GivenBody
from gateway.api.layers_compose_request import ComposeLayer, LayersComposeRequest
from gateway.api.picture_sources import PictureReference
from gateway.domain.composing import MOST_LAYERS, ComposeCommand, ComposedLayer
from gateway.domain.edits import PictureFile
from gateway.domain.errors import InvalidRequest
from gateway.domain.layers import LayersFormat
from gateway.domain.pictures import PictureFormat, PictureSize

ComposeBody = GivenBody[LayersComposeRequest]

_SIZE = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})")
_COLOUR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_UNWRITABLE = frozenset({"Cc", "Cs", "Cn"})
"""Categories of characters that files cannot hold."""


@dataclass(frozen=True, slots=True)
class ComposePlan:
    """A request that is right as far as can be said without its pictures; `layers` bottom to top.

    `inline`: files are in the answer.
    """

    pictures: tuple[PictureReference, ...]
    layers: tuple[ComposeLayer, ...]
    names: tuple[str, ...]
    size: PictureSize | None
    background: tuple[int, int, int] | None
    format: PictureFormat
    output: LayersFormat | None
    inline: bool

    def command(self, files: Sequence[PictureFile]) -> ComposeCommand:
        """With the pictures open."""
        return ComposeCommand(
            layers=tuple(
                ComposedLayer(
                    picture=file,
                    name=name,
                    x=layer.x or 0,
                    y=layer.y or 0,
                    opacity=1.0 if layer.opacity is None else layer.opacity,
                    visible=layer.visible is not False,
                    blend=layer.blend_mode or "normal",
                )
                for file, name, layer in zip(files, self.names, self.layers, strict=True)
            ),
            size=self.size,
            background=self.background,
            format=self.format,
            output=self.output,
        )


def plan_compose(given: ComposeBody) -> ComposePlan:
    """Raises InvalidRequest naming the field."""
    body = given.fields
    if not 1 <= len(body.layers) <= MOST_LAYERS:
        raise InvalidRequest(f"'layers' has {len(body.layers)} layers; allowed: 1 to {MOST_LAYERS}", param="layers")
    names = [_name(layer, index) for index, layer in enumerate(body.layers)]
    pictures = _pictures(body.layers, given.files)
    order = _order(body.order, names)
    return ComposePlan(
        pictures=tuple(pictures[index] for index in order),
        layers=tuple(body.layers[index] for index in order),
        names=tuple(names[index] for index in order),
        size=_size(body.size),
        background=_background(body.background),
        format=PictureFormat(body.output_format or "png"),
        output=None if body.output in (None, "picture") else LayersFormat(body.output),
        inline=body.response_format == "b64_json",
    )


def _name(layer: ComposeLayer, index: int) -> str:
    name = layer.name or f"layer {index}"
    if any(unicodedata.category(character) in _UNWRITABLE for character in name):
        field = f"layers.{index}.name"
        raise InvalidRequest(f"'{field}' has characters that cannot be written into files", param=field)
    return name


def _pictures(
    layers: Sequence[ComposeLayer], files: Mapping[str, Sequence[PictureFile]]
) -> tuple[PictureReference, ...]:
    """A file that several layers name is theirs in turn: it can be read only once."""
    left = {name: list(sent) for name, sent in files.items()}
    references = []
    for index, layer in enumerate(layers):
        field = f"layers.{index}.image"
        if not layer.image:
            raise InvalidRequest(f"'{field}' is empty: a picture is missing", param=field)
        sent = left.get(layer.image)
        if sent is None:
            references.append(PictureReference(field, layer.image))
        elif sent:
            references.append(PictureReference(field, PictureFile(field, sent.pop(0).file)))
        else:
            raise InvalidRequest(
                f"'{field}' names the file '{layer.image[:100]}', which an earlier layer has; send it once for each",
                param=field,
            )
    unused = next((name for name, sent in left.items() if sent), None)
    if unused is not None:
        raise InvalidRequest(f"the file '{unused[:100]}' is in no layer: name it as an 'image'", param=unused[:100])
    return tuple(references)


def _order(asked: Sequence[int | str] | None, names: Sequence[str]) -> tuple[int, ...]:
    if asked is None:
        return tuple(range(len(names)))
    order: list[int] = []
    for each in asked:
        index = _index(each, names)
        if index in order:
            raise InvalidRequest(f"'order' names layer {index} ('{names[index]}') more than once", param="order")
        order.append(index)
    for index, name in enumerate(names):
        if index not in order:
            raise InvalidRequest(
                f"'order' leaves out layer {index} ('{name}'); name it, or leave it out of 'layers'", param="order"
            )
    return tuple(order)


def _index(asked: int | str, names: Sequence[str]) -> int:
    if isinstance(asked, str):
        if names.count(asked) > 1:
            raise InvalidRequest(f"'order' names '{asked}', and several layers have this name", param="order")
        if asked in names:
            return names.index(asked)
        # In a form numbers are texts.
        if not (asked.isascii() and asked.isdecimal() and len(asked) < 4):
            raise InvalidRequest(f"'order' names '{asked[:100]}', and no layer has this name", param="order")
    index = int(asked)
    if not 0 <= index < len(names):
        raise InvalidRequest(f"'order' names layer {index}; there are 0 to {len(names) - 1}", param="order")
    return index


def _size(size: str | None) -> PictureSize | None:
    if size in (None, "auto"):
        return None
    match = _SIZE.fullmatch(size or "")
    if match is None:
        raise InvalidRequest("'size' must be 'auto' or WIDTHxHEIGHT in pixels, e.g. '768x1024'", param="size")
    return PictureSize(int(match[1]), int(match[2]))


def _background(colour: str | None) -> tuple[int, int, int] | None:
    if colour in (None, "transparent"):
        return None
    match = _COLOUR.fullmatch(colour or "")
    if match is None:
        raise InvalidRequest(
            "'background' must be 'transparent' or a colour as #rrggbb, e.g. '#ffffff'", param="background"
        )
    return int(match[1], 16), int(match[2], 16), int(match[3], 16)
