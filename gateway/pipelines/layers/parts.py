"""What a model drew, as layers with names."""

from dataclasses import dataclass

from families.manifest import LayerRule
from gateway.domain.layers import Sheet
from gateway.pipelines.frame import Box
from gateway.pipelines.layers.bounds import bounds_of
from gateway.pipelines.layers.draw import Drawn
from gateway.pipelines.layers.original import at_original_size


@dataclass(frozen=True, slots=True)
class Part:
    """One layer of an answer, not yet in its place. `box` None: it is empty."""

    name: str
    parent: str | None
    pixels: Sheet
    box: Box | None


def parts_of(source: Sheet, drawn: Drawn, rule: LayerRule, *, all_of_them: bool) -> list[Part]:
    """Bottom to top; without the empty ones, unless `all_of_them` are wanted. Never none at all."""
    names = _names(rule, len(drawn))
    parts = [
        Part(name, None, pixels, bounds_of(pixels))
        for name, pixels in zip(names, at_original_size(source, drawn), strict=True)
    ]
    return parts if all_of_them else [part for part in parts if part.box is not None] or parts[:1]


def parts_of_part(part: Part, drawn: Drawn) -> list[Part]:
    """Instead of the part: what of it is not empty, or the part itself where nothing is."""
    sheets = at_original_size(part.pixels, drawn)
    found = [(pixels, box) for pixels in sheets if (box := bounds_of(pixels)) is not None]
    return [
        Part(f"{part.name}/{number}", part.name, pixels, box) for number, (pixels, box) in enumerate(found, start=1)
    ] or [part]


def _names(rule: LayerRule, count: int) -> tuple[str, ...]:
    numbered = tuple(f"layer-{number}" for number in range(1, count + 1))
    return next((names for names in rule.names if len(names) == count), numbered)
