import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from wardrobe.judge import Judge, reading_of
from wardrobe.judge.judge import CARD_FILE, WEIGHTS, WEIGHTS_FILE, accuracies
from wardrobe.judge.reading import ATTRIBUTES, HEADS, from_classes, to_classes
from wardrobe.world.render import render
from wardrobe.world.scene import scenes

SCENES = list(islice(scenes(41, held_out=True), 40))
TRUTH = [reading_of(scene) for scene in SCENES]


def test_it_reads_renders_back() -> None:
    pictures = np.stack([render(scene).image for scene in SCENES])
    result = accuracies(Judge.load().read(pictures), TRUTH)
    assert min(result.values()) >= 0.95, result


def test_its_card_promises_enough_on_many_more_pictures() -> None:
    card = json.loads((WEIGHTS / CARD_FILE).read_text())
    assert card["pictures"] >= 400
    assert min(card["held_out_renders"].values()) >= 0.98, card["held_out_renders"]


def test_the_file_is_small() -> None:
    assert (WEIGHTS / WEIGHTS_FILE).stat().st_size <= 1_500_000


def test_classes_and_readings_are_inverse() -> None:
    assert tuple(HEADS) == ATTRIBUTES
    assert [from_classes(to_classes(reading)) for reading in TRUTH] == TRUTH


def test_a_wrong_answer_counts() -> None:
    wrong = [replace(TRUTH[0], skin=next(t.skin for t in TRUTH if t.skin is not TRUTH[0].skin)), *TRUTH[1:]]
    assert accuracies(wrong, TRUTH)["skin"] == pytest.approx(1 - 1 / len(TRUTH))
    assert accuracies(wrong, TRUTH)["pose"] == 1.0


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="128"):
        Judge.load().read(np.zeros((1, 64, 64, 3), np.uint8))
