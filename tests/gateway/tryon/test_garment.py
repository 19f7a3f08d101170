"""Garments out of pictures of every kind."""

import numpy as np
import pytest
from PIL import Image

from families.tryon.parts import BodyPart, Category
from families.vision.joints import JOINTS
from gateway.domain.pictures import PictureSize
from gateway.domain.tryon import GarmentPhoto, GarmentPicture
from gateway.domain.tryon_errors import InputValidationError
from gateway.domain.vision import Parse
from gateway.pipelines.tryon.garment import find_garment, lay_flat
from gateway.pipelines.tryon.person import View
from tests.gateway.tryon.world import lying, png, truth
from wardrobe.world.attributes import BottomsKind, Colour, Pattern, TopKind
from wardrobe.world.render import FLAT_LAY_BACKGROUND
from wardrobe.world.scene import Bottoms, Garment, Top, scenes

DRAWN = PictureSize(128, 128)
SWEATER = Top(TopKind.SWEATER, Colour.RED, Pattern.STRIPED)


def view_of(garment: Garment) -> View:
    return View(*lying(garment))


def asked(category: Category | None = None, photo: GarmentPhoto | None = None) -> GarmentPicture:
    return GarmentPicture(png(np.zeros((8, 8, 3), np.uint8), "garment_image"), category, photo)


@pytest.mark.parametrize(
    ("garment", "category"),
    [
        (SWEATER, Category.TOPS),
        (Bottoms(BottomsKind.SHORTS, Colour.BLUE, Pattern.DOTTED), Category.BOTTOMS),
        (Top(TopKind.DRESS, Colour.WHITE, Pattern.CHECKED), Category.ONE_PIECES),
    ],
)
def test_a_flat_lay_tells_its_category_and_stays_as_it_lies(garment: Garment, category: Category) -> None:
    view = view_of(garment)
    found = find_garment(view, asked())
    assert (found.category, found.photo, found.warning) == (category, GarmentPhoto.FLAT_LAY, None)
    assert np.array_equal(lay_flat(found, DRAWN, FLAT_LAY_BACKGROUND).pixels, view.pixels)


def test_a_small_garment_on_another_ground_is_laid_as_models_know_it() -> None:
    """A product photograph: 400 x 300 pixels of grey, the sweater small and in a corner."""
    flat, parse = lying(SWEATER)
    pixels = np.full((300, 400, 3), (120, 130, 140), np.uint8)
    labels = np.zeros((300, 400), np.uint8)
    cloth = parse.labels > 0
    pixels[20:148, 250:378][cloth] = flat[cloth]
    labels[20:148, 250:378] = parse.labels
    found = find_garment(View(pixels, Parse(labels, parse.keypoints)), asked())
    laid = lay_flat(found, DRAWN, FLAT_LAY_BACKGROUND)
    rows, columns = np.flatnonzero(laid.mask.any(axis=1)), np.flatnonzero(laid.mask.any(axis=0))
    assert 80 <= columns[-1] - columns[0] <= 90
    assert abs(columns[-1] + columns[0] - 127) <= 4 and abs(rows[-1] + rows[0] - 127) <= 4
    wide, tall = columns[-1] - columns[0], rows[-1] - rows[0]
    own_rows, own_columns = np.flatnonzero(cloth.any(axis=1)), np.flatnonzero(cloth.any(axis=0))
    assert wide / tall == pytest.approx((own_columns[-1] - own_columns[0]) / (own_rows[-1] - own_rows[0]), rel=0.05)
    assert (laid.pixels[~laid.mask][:, 0] > 200).mean() > 0.97
    assert laid.pixels[0, 0].tolist() == list(FLAT_LAY_BACKGROUND)


def test_an_even_ground_tells_what_the_parser_does_not_know() -> None:
    pixels = np.full((100, 100, 3), 250, np.uint8)
    pixels[30:70, 20:80] = (20, 90, 60)
    view = View(pixels, Parse(np.zeros((100, 100), np.uint8), np.zeros((len(JOINTS), 3), np.float32)))
    with pytest.raises(InputValidationError, match="category") as unknown:
        find_garment(view, asked())
    assert unknown.value.param == "category"
    found = find_garment(view, asked(Category.TOPS))
    assert found.mask[30:70, 20:80].all() and found.mask.sum() == 40 * 60


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_shows_no_garment(level: int) -> None:
    pixels = np.full((100, 100, 3), level, np.uint8)
    view = View(pixels, Parse(np.zeros((100, 100), np.uint8), np.zeros((len(JOINTS), 3), np.float32)))
    with pytest.raises(InputValidationError, match="no garment") as blank:
        find_garment(view, asked(Category.TOPS))
    assert (blank.value.param, blank.value.code) == ("garment_image", "InputValidationError")


def test_a_garment_that_somebody_wears() -> None:
    scene = next(scene for scene in scenes(4, held_out=True) if scene.bottoms is not None)
    view = View(*truth(scene))
    top = find_garment(view, asked())
    assert (top.photo, top.category) == (GarmentPhoto.MODEL, Category.TOPS)
    assert np.array_equal(top.mask, view.parse.labels == BodyPart.TOP.label)
    laid = lay_flat(top, DRAWN, FLAT_LAY_BACKGROUND)
    assert laid.pose.any() and laid.mask.any()
    assert np.abs(laid.pixels[~laid.mask].astype(int) - FLAT_LAY_BACKGROUND).max(axis=-1).mean() < 6
    bottoms = find_garment(view, asked(Category.BOTTOMS))
    assert np.array_equal(bottoms.mask, view.parse.labels == BodyPart.BOTTOMS.label)
    with pytest.raises(InputValidationError, match="nobody in one-pieces; found: tops, bottoms"):
        find_garment(view, asked(Category.ONE_PIECES))


def test_another_category_than_the_picture_shows_is_a_warning() -> None:
    found = find_garment(view_of(SWEATER), asked(Category.BOTTOMS))
    assert found.category is Category.BOTTOMS
    assert found.warning is not None and "looks like tops" in found.warning


def test_a_matting_models_word_counts() -> None:
    view = view_of(SWEATER)
    alpha = np.zeros((128, 128), np.uint8)
    alpha[40:80, 40:80] = 255
    assert find_garment(view, asked(), alpha).mask.sum() == 40 * 40


def test_large_pictures_are_reduced_smoothly() -> None:
    flat, parse = lying(SWEATER)
    size = (900, 900)
    pixels = np.asarray(Image.fromarray(flat).resize(size, Image.Resampling.LANCZOS))
    labels = np.asarray(Image.fromarray(parse.labels).resize(size, Image.Resampling.NEAREST))
    found = find_garment(View(pixels, Parse(labels, parse.keypoints)), asked())
    laid = lay_flat(found, DRAWN, FLAT_LAY_BACKGROUND)
    assert np.abs(laid.pixels.astype(int) - flat).mean() < 2
