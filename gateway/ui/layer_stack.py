"""A picture's layers as a visitor sees and changes them: from the top to the bottom, as in programs for pictures."""

import asyncio
import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, Self

from PIL import Image

from gateway.ui.api import FormFile

SCRIPT = Path(__file__).with_name("layer_stack.js")

_THUMBNAIL = 72
"""Pixels; drawn at half of it on screens of double density."""
_BLENDS = (
    "normal",
    "multiply",
    "screen",
    "overlay",
    "darken",
    "lighten",
    "color-dodge",
    "color-burn",
    "hard-light",
    "soft-light",
    "difference",
    "exclusion",
)
_SIGNS = {
    "up": "M8 13V3M4 7l4-4 4 4",
    "down": "M8 3v10M4 9l4 4 4-4",
    "apart": "M8 2l6 3-6 3-6-3zM2 8l6 3 6-3M2 11l6 3 6-3",
}


@dataclass(frozen=True, slots=True)
class StackedLayer:
    """`path`: its picture, as large as the whole one. `thumbnail`: a data URI. `opacity` in percent."""

    key: str
    name: str
    path: Path
    thumbnail: str
    opacity: int = 100
    visible: bool = True
    blend: str = "normal"

    def changed(self, told: Mapping[str, Any]) -> Self:
        """As the page tells. What is no value of it is left as it was: pages may be made to tell anything."""
        opacity, visible, blend = (told.get(name) for name in ("opacity", "visible", "blend"))
        return replace(
            self,
            opacity=opacity if isinstance(opacity, int) and 0 <= opacity <= 100 else self.opacity,
            visible=visible if isinstance(visible, bool) else self.visible,
            blend=blend if blend in _BLENDS else self.blend,
        )


@dataclass(frozen=True, slots=True)
class LayerStack:
    """Bottom to top."""

    layers: tuple[StackedLayer, ...] = ()

    def find(self, key: object) -> StackedLayer | None:
        """None for a layer that is not there any more."""
        return next((layer for layer in self.layers if layer.key == key), None)

    def changed(self, told: object) -> Self:
        """As the page tells its rows, top to bottom. A tale of other layers than these is one of an earlier stack."""
        rows = [row for row in told if isinstance(row, dict)] if isinstance(told, list) else []
        found = [(self.find(row.get("key")), row) for row in reversed(rows)]
        layers = tuple(layer.changed(row) for layer, row in found if layer is not None)
        if sorted(layer.key for layer in layers) != sorted(layer.key for layer in self.layers):
            return self
        return replace(self, layers=layers)

    def replaced(self, key: str, parts: Sequence[StackedLayer]) -> Self:
        """With these instead of a layer; they look as it did."""
        layers: list[StackedLayer] = []
        for layer in self.layers:
            if layer.key == key:
                layers += [replace(part, opacity=layer.opacity, visible=layer.visible) for part in parts]
            else:
                layers.append(layer)
        return replace(self, layers=tuple(layers))

    def form(self) -> tuple[dict[str, str], list[FormFile]]:
        """What `/v1/images/layers/compose` is sent."""
        described = [
            {
                "image": f"layer-{index}",
                "name": layer.name[:100],
                "opacity": layer.opacity / 100,
                "visible": layer.visible,
                "blend_mode": layer.blend,
            }
            for index, layer in enumerate(self.layers)
        ]
        files = [FormFile(f"layer-{index}", layer.path) for index, layer in enumerate(self.layers)]
        return {"layers": json.dumps(described)}, files


async def stacked(key: str, name: str, path: Path) -> StackedLayer:
    """A layer that the API made."""
    return StackedLayer(key, name, path, await asyncio.to_thread(_thumbnail, path))


def stack_html(stack: LayerStack) -> str:
    """Its rows; `layer_stack.js` tells what is done to them."""
    if not stack.layers:
        return ""
    return f'<ol class="layers">{"".join(map(_row, reversed(stack.layers)))}</ol>'


def _row(layer: StackedLayer) -> str:
    name = escape(layer.name)
    options = "".join(f"<option{' selected' * (mode == layer.blend)}>{mode}</option>" for mode in _BLENDS)
    return (
        f'<li data-layer="{escape(layer.key)}">'
        f'<input type="checkbox" class="visible" aria-label="Show {name}"{" checked" * layer.visible}>'
        f'<img alt="" src="{escape(layer.thumbnail)}">'
        f'<div class="what"><strong>{name}</strong>'
        f'<div class="how"><input type="range" class="opacity" min="0" max="100" value="{layer.opacity}" '
        f'aria-label="Opacity of {name}"><output>{layer.opacity} %</output>'
        f'<select class="blend" aria-label="Blending of {name}">{options}</select></div></div>'
        f'<div class="do">{_button("up", f"Move {name} up")}{_button("down", f"Move {name} down")}'
        f"{_button('apart', f'Take {name} apart')}</div></li>"
    )


def _button(action: str, title: str) -> str:
    return (
        f'<button type="button" data-do="{action}" aria-label="{title}" title="{title}">'
        f'<svg viewBox="0 0 16 16"><path d="{_SIGNS[action]}"/></svg></button>'
    )


def _thumbnail(path: Path) -> str:
    target = io.BytesIO()
    with Image.open(path) as image:
        small = image.convert("RGBA")
        small.thumbnail((_THUMBNAIL, _THUMBNAIL))
        small.save(target, "PNG")
    return f"data:image/png;base64,{base64.b64encode(target.getvalue()).decode()}"
