"""Sizes to which models want pictures scaled, by the arithmetic of the references that they were trained with."""

import math

from families.manifest import PictureRule


def of_area(width: int, height: int, area: int, multiple: int) -> tuple[int, int]:
    """Width and height of about `area` pixels in nearly the same shape, each a multiple of `multiple`."""
    ratio = width / height
    wide = math.sqrt(area * ratio)
    scaled = (round(side / multiple) * multiple for side in (wide, wide / ratio))
    new_width, new_height = (max(multiple, side) for side in scaled)
    return new_width, new_height


def looked_at(width: int, height: int, rule: PictureRule) -> tuple[int, int]:
    """Width and height, multiples of a square of patches, of a picture that is `of_area` already."""
    square = rule.patch * rule.merge
    sides = tuple(round(side / square) * square for side in (width, height))
    pixels = sides[0] * sides[1]
    if pixels > rule.maximum:
        shrink = math.sqrt(width * height / rule.maximum)
        sides = tuple(max(square, math.floor(side / shrink / square) * square) for side in (width, height))
    elif pixels < rule.minimum:
        grow = math.sqrt(rule.minimum / (width * height))
        sides = tuple(math.ceil(side * grow / square) * square for side in (width, height))
    return sides[0], sides[1]
