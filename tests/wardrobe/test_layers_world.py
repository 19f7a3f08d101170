import numpy as np
import pytest

from wardrobe.evaluation.layers_score import SHEETS, LayersCase, heldout_layers, ordered, score_layers
from wardrobe.world.canvas import Pixels
from wardrobe.world.render import render
from wardrobe.world.scene import scenes
from wardrobe.world.sheets import EMPTY_LEVEL, NAMES, finest_sheets, flatten, sheets


@pytest.fixture(scope="module")
def cases() -> list[LayersCase]:
    return heldout_layers(12)


def composed(stack: Pixels) -> Pixels:
    return flatten(stack)[..., :3]


@pytest.mark.parametrize("count", range(2, 11))
def test_any_number_of_sheets_shows_the_picture(count: int) -> None:
    stream = scenes(3, held_out=True)
    for _ in range(4):
        picture = render(next(stream))
        made = sheets(finest_sheets(picture), count)
        assert made.shape == (count, 128, 128, 4)
        assert made[0, ..., 3].min() == 255
        assert np.abs(composed(made).astype(int) - picture.image).max() <= 2
        for extra in made[6:]:
            assert not extra[..., 3].any() and (extra[..., :3] == EMPTY_LEVEL).all()


def test_each_count_joins_two_neighbours_of_the_next() -> None:
    picture = finest_sheets(render(next(scenes(5, held_out=True))))
    for count in range(2, 6):
        coarse, fine = sheets(picture, count), sheets(picture, count + 1)
        assert len(NAMES[count - 2]) == count
        same = [any(np.array_equal(sheet, other) for other in fine) for sheet in coarse]
        assert same.count(False) == 1


def test_the_truth_scores_full_marks(cases: list[LayersCase]) -> None:
    scores = score_layers(cases, [case.truth for case in cases])
    assert scores.order == 1
    for name in (*SHEETS, "person"):
        assert scores.of(name).soft_iou == pytest.approx(1)
        assert scores.of(name).colour_error == 0
    dresses = sum(2 not in case.shown for case in cases)
    assert dresses > 0
    assert scores.of("bottoms").cases == len(cases) - dresses


def test_layers_in_another_order_are_told(cases: list[LayersCase]) -> None:
    case = next(case for case in cases if len(case.shown) == len(SHEETS))
    assert ordered(case, case.truth)
    assert not ordered(case, case.truth[[0, 1, 3, 2, 4]])
    scores = score_layers([case], [case.truth[[0, 1, 3, 2, 4]]])
    assert scores.order == 0
    assert scores.of("top").soft_iou < 0.5


def test_errors_count_where_the_truth_shows_something(cases: list[LayersCase]) -> None:
    case = cases[0]
    wrong = case.truth.copy()
    wrong[..., :3] = np.where(wrong[..., 3:] > 0, 255 - wrong[..., :3], wrong[..., :3])
    assert score_layers([case], [wrong]).of("top").colour_error > 0.2
    hidden = case.truth.copy()
    hidden[..., :3] = np.where(hidden[..., 3:] == 0, 17, hidden[..., :3])
    assert score_layers([case], [hidden]).of("top").colour_error == 0


def test_unequal_numbers_are_refused(cases: list[LayersCase]) -> None:
    with pytest.raises(ValueError, match="1 answers for 2"):
        score_layers(cases[:2], [cases[0].truth])
