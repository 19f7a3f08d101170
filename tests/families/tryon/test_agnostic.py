import numpy as np
import pytest

from families.tryon.agnostic import Labels, Mask, agnostic_mask
from families.tryon.parts import BodyPart, Category
from wardrobe.world.attributes import Part


def standing_person(scale: int = 1) -> Labels:
    """A head, a top with bare arms beside it, shorts, legs and shoes, 64 by 64 pixels times `scale`."""
    labels = np.zeros((64, 64), np.uint8)

    def paint(part: BodyPart, rows: slice, columns: slice) -> None:
        labels[rows, columns] = part.label

    paint(BodyPart.HAIR, slice(4, 8), slice(26, 38))
    paint(BodyPart.FACE, slice(8, 18), slice(27, 37))
    paint(BodyPart.ARMS, slice(19, 36), slice(18, 22))
    paint(BodyPart.ARMS, slice(19, 36), slice(42, 46))
    paint(BodyPart.TOP, slice(18, 34), slice(22, 42))
    paint(BodyPart.BOTTOMS, slice(34, 44), slice(23, 41))
    for left in (24, 35):
        paint(BodyPart.LEGS, slice(44, 56), slice(left, left + 5))
        paint(BodyPart.SHOES, slice(56, 60), slice(left, left + 5))
    return labels.repeat(scale, axis=0).repeat(scale, axis=1)


def where(labels: Labels, *parts: BodyPart) -> Mask:
    mask: Mask = np.isin(labels, [part.label for part in parts])
    return mask


def test_labels_are_those_of_the_renderer() -> None:
    assert [(part.name, part.value) for part in BodyPart] == [(part.name, part.value) for part in Part]
    assert [part.label for part in BodyPart] == list(range(len(Part)))


def test_a_top_takes_the_arms_and_leaves_the_face_legs_and_shoes() -> None:
    labels = standing_person()
    mask = agnostic_mask(labels, Category.TOPS)
    assert mask[where(labels, BodyPart.TOP, BodyPart.ARMS)].all()
    assert not mask[where(labels, BodyPart.LEGS, BodyPart.SHOES, BodyPart.HAIR)].any()
    assert mask[where(labels, BodyPart.FACE)].mean() <= 0.1  # a seam at the collar


def test_bottoms_take_the_legs_and_leave_everything_above_the_waist() -> None:
    labels = standing_person()
    mask = agnostic_mask(labels, Category.BOTTOMS)
    assert mask[where(labels, BodyPart.BOTTOMS, BodyPart.LEGS)].all()
    assert not mask[:27].any()
    assert not mask[59:].any(), "the soles stay"


def test_a_one_piece_takes_both_and_a_worn_dress_goes_whole() -> None:
    labels = standing_person()
    both = agnostic_mask(labels, Category.ONE_PIECES)
    assert both[agnostic_mask(labels, Category.TOPS) & agnostic_mask(labels, Category.BOTTOMS)].all()
    dressed = np.where(where(labels, BodyPart.TOP, BodyPart.BOTTOMS), np.uint8(BodyPart.DRESS.label), labels)
    for category in Category:
        mask = agnostic_mask(dressed, category)
        assert mask[where(dressed, BodyPart.DRESS, BodyPart.ARMS, BodyPart.LEGS)].all()


def test_a_few_pixels_of_dress_are_a_mistake_of_the_parser() -> None:
    labels = standing_person()
    labels[20:22, 30:33] = BodyPart.DRESS.label
    assert not agnostic_mask(labels, Category.TOPS)[where(labels, BodyPart.LEGS)].any()


def test_long_and_short_sleeves_give_the_same_mask() -> None:
    bare, sleeved = standing_person(), standing_person()
    sleeved[19:32][where(sleeved[19:32], BodyPart.ARMS)] = BodyPart.TOP.label
    np.testing.assert_array_equal(agnostic_mask(bare, Category.TOPS), agnostic_mask(sleeved, Category.TOPS))


def test_shorts_leave_room_for_a_skirt() -> None:
    labels = standing_person()
    middle = agnostic_mask(labels, Category.BOTTOMS)[45]
    assert middle.sum() >= 2 * 0.27 * 56


def test_the_mask_scales_with_the_person() -> None:
    small, large = (agnostic_mask(standing_person(scale), Category.TOPS) for scale in (2, 4))
    assert (small.repeat(2, axis=0).repeat(2, axis=1) == large).mean() > 0.985


def test_who_has_nothing_to_put_it_on_is_an_error() -> None:
    with pytest.raises(ValueError, match="no person"):
        agnostic_mask(np.zeros((8, 8), np.uint8), Category.TOPS)
    face = np.where(where(standing_person(), BodyPart.HAIR), np.uint8(BodyPart.HAIR.label), np.uint8(0))
    with pytest.raises(ValueError, match="bottoms"):
        agnostic_mask(face, Category.BOTTOMS)
    with pytest.raises(ValueError, match="height, width"):
        agnostic_mask(np.zeros((1, 8, 8), np.uint8), Category.TOPS)
