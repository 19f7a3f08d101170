"""The cost model: caps from measurements, and learning."""

import pytest

from engine.step.bucket import Bucket, RowLimits
from engine.step.cost import CostModel

BUCKET = Bucket((4, 16, 16), ((64, 192),))
CPU = {1: 0.009, 2: 0.016, 4: 0.031, 8: 0.056, 16: 0.109}


def model(points: dict[int, float], *, slack: float = 0.05, max_rows: int = 16) -> CostModel:
    costs = CostModel(RowLimits(max_rows, 4, BUCKET.cells), slack)
    costs.measured(BUCKET, points)
    return costs


def test_the_cap_is_the_smallest_size_near_the_best_throughput() -> None:
    assert model(CPU).cap(BUCKET) == 8
    assert model(CPU, slack=0.01).cap(BUCKET) == 16
    assert model(CPU, slack=0.3).cap(BUCKET) == 2
    assert model(dict.fromkeys(CPU, 0.02)).cap(BUCKET) == 16


def test_a_guided_image_always_fits() -> None:
    assert model({rows: 0.01 * rows for rows in CPU}).cap(BUCKET) == 2


def test_larger_pictures_get_fewer_rows_and_cost_more() -> None:
    costs = model(CPU)
    large = Bucket((4, 32, 32), BUCKET.condition_shapes)
    assert costs.cap(large) == 2
    assert model(CPU, slack=0.01).cap(large) == 4
    assert costs.seconds(large, 4) == pytest.approx(4 * CPU[4])


def test_deterministic_batches_have_one_size_and_one_price() -> None:
    costs = model(CPU)
    fixed = Bucket(BUCKET.latent_shape, BUCKET.condition_shapes, deterministic=True)
    assert costs.cap(fixed) == 4
    assert costs.seconds(fixed, 1) == costs.seconds(fixed, 4)


def test_between_and_beyond_measurements_it_interpolates() -> None:
    costs = model(CPU)
    assert costs.seconds(BUCKET, 6) == pytest.approx((CPU[4] + CPU[8]) / 2)
    assert costs.seconds(BUCKET, 32) > CPU[16]


def test_it_follows_a_slower_machine_without_changing_the_cap() -> None:
    costs = model(CPU)
    for _ in range(50):
        costs.learn(BUCKET, 8, 2 * CPU[8])
    assert costs.seconds(BUCKET, 8) == pytest.approx(2 * CPU[8], rel=0.1)
    assert costs.seconds(BUCKET, 2) == pytest.approx(2 * CPU[2], rel=0.2)
    assert costs.cap(BUCKET) == 8


def test_without_any_measurement_it_still_answers_and_learns() -> None:
    costs = CostModel(RowLimits(16, 4, 256), 0.05)
    assert costs.seconds(BUCKET, 3) > 0
    for _ in range(200):
        for rows, seconds in CPU.items():
            costs.learn(BUCKET, rows, seconds)
    assert costs.cap(BUCKET) >= 4
    for rows, seconds in CPU.items():
        assert costs.seconds(BUCKET, rows) == pytest.approx(seconds, rel=0.15)
