"""What is promised of try-on."""

from dataclasses import replace

import pytest

from benchmarks.machine import fingerprint
from benchmarks.tryon.quality import ModeQuality
from benchmarks.tryon.result import Measurement, targets
from wardrobe.evaluation.tryon_score import TryOnScores

FAST = TryOnScores(0.88, 0.88, 1.2, 6.0, 1.0, 1.0, 0.98, 1.0, 0.98, 200)
PREMIUM = TryOnScores(0.89, 0.90, 1.1, 5.9, 1.0, 1.0, 0.99, 1.0, 0.99, 200)
BASELINE = TryOnScores(0.1, 0.1, 14.0, 24.0, 0.4, 0.6, 0.5, 0.3, 0.1, 200)


def failed(fast: TryOnScores, premium: TryOnScores) -> list[str]:
    found = Measurement(
        "2030-01-02T03:04:05",
        *(ModeQuality(one, 0, 0, 0, None) for one in (fast, premium)),
        BASELINE,
        (),
        fingerprint(),
    )
    return [target.name for target in targets(found) if not target.passed]


def test_as_good_is_enough_only_where_nothing_is_left_to_gain() -> None:
    assert failed(FAST, PREMIUM) == []
    assert failed(replace(FAST, pattern=0.99), PREMIUM) == ["premium beside fast: pattern right"]
    assert failed(replace(FAST, pattern=1.0), replace(PREMIUM, pattern=1.0)) == []


@pytest.mark.parametrize(
    ("worse", "named"),
    [
        ({"colour_error": 1.3}, "premium beside fast: CIEDE2000 of the mean colours"),
        ({"similarity": 0.84}, "premium: SSIM of the garment"),
        ({"kind": 0.995}, "premium beside fast: kind right"),
    ],
)
def test_worse_is_told(worse: dict[str, float], named: str) -> None:
    assert named in failed(FAST, replace(PREMIUM, **worse))
