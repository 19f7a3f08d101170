"""Parts of a body that stay as they are, from what a parser saw."""

from itertools import islice

import numpy as np
import pytest
from scipy import ndimage

from families.tryon.parts import BodyPart
from gateway.domain.vision import Parse
from gateway.pipelines.tryon.body import face
from wardrobe.world.keypoints import keypoints
from wardrobe.world.render import render
from wardrobe.world.scene import Scene, scenes


def seen(scene: Scene, sure: float = 1.0) -> Parse:
    """What a perfect parser sees."""
    points = keypoints(scene)
    return Parse(render(scene).labels, np.column_stack([points, np.full(len(points), sure)]).astype(np.float32))


@pytest.mark.parametrize("scene", islice(scenes(5, held_out=True), 6), ids=str)
def test_the_face_is_the_head_without_the_chest(scene: Scene) -> None:
    parse = seen(scene)
    (head,) = (layer.pixels[..., 3] > 127 for layer in render(scene).layers if layer.name == "face")
    head &= parse.labels == BodyPart.FACE.label
    found = face(parse)
    assert found[head].all()
    around = ndimage.binary_dilation(head, iterations=3)
    assert (found & ~around).sum() < 0.05 * head.sum(), "more than a rim around it"


def test_without_a_neck_it_is_all_that_the_parser_calls_face() -> None:
    parse = seen(next(scenes(5, held_out=True)), sure=0.0)
    seen_as_face = parse.labels == BodyPart.FACE.label
    assert np.array_equal(face(parse), ndimage.binary_dilation(seen_as_face, iterations=2))
