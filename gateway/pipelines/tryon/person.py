"""The person who is dressed: is anybody there, and where?"""

from dataclasses import dataclass

from families.tryon.parts import BodyPart
from gateway.domain.pictures import PictureSize
from gateway.domain.tryon_drawing import Rgb
from gateway.domain.tryon_errors import ImageLoadError, PoseError
from gateway.domain.vision import Parse
from gateway.pipelines.frame import Box, size_of
from gateway.pipelines.tryon.body import BODY, GARMENTS, labelled, person_box

SHORTEST_SIDE = 64
_LEAST_BODY = 0.005
"""Of the picture: skin, hair and shoes that a person shows at least."""
_LEAST_OF_PERSON = 0.04
"""Of what is no background: less is a garment that lies there with a few specks taken for skin."""
_LEAST_SURE = 0.1
"""Mean confidence of the joints."""


@dataclass(frozen=True, slots=True)
class View:
    """A picture [height, width, 3] and what the parser sees in it."""

    pixels: Rgb
    parse: Parse


def check_size(pixels: Rgb, field: str) -> None:
    """Raises ImageLoadError for a picture with too short a side."""
    size = size_of(pixels)
    if min(size.width, size.height) < SHORTEST_SIDE:
        raise ImageLoadError(
            f"'{field}' has {size} pixels; allowed: at least {SHORTEST_SIDE} on each side", param=field
        )


def shows_person(parse: Parse) -> bool:
    """Whether somebody is there: enough skin, hair or shoes, and joints."""
    body = labelled(parse.labels, *BODY).sum()
    present = (parse.labels != BodyPart.BACKGROUND.label).sum()
    return bool(
        body >= _LEAST_BODY * parse.labels.size
        and body >= _LEAST_OF_PERSON * present
        and parse.keypoints[:, 2].mean() >= _LEAST_SURE
    )


def find_person(view: View, field: str) -> Box:
    """Where the person is. Raises PoseError."""
    box = person_box(view.parse.labels)
    if box is not None and shows_person(view.parse):
        return box
    cloth = labelled(view.parse.labels, *GARMENTS).mean()
    hint = ""
    if cloth > _LEAST_OF_PERSON:
        hint = ": it shows a garment and nobody who wears it; are person and garment swapped?"
    raise PoseError(f"no person was found in '{field}'{hint}", param=field)


def whole(size: PictureSize) -> Box:
    """A box of everything."""
    return Box(0, 0, size.width, size.height)
