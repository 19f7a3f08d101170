"""The table's statistics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stats import median, median_of, percentile, ratio

seconds = st.floats(min_value=0, max_value=1e6)


def test_nothing_has_no_median_or_percentile() -> None:
    assert median([]) is None
    assert median_of([None, None]) is None
    assert percentile([], 0.95) is None


def test_known_values() -> None:
    values = [float(value) for value in range(1, 101)]
    assert median(values) == 50.5
    assert percentile(values, 0.95) == 95
    assert percentile(values, 1.0) == 100
    assert percentile([3.0], 0.95) == 3.0
    assert median_of([None, 2.0, 4.0, 9.0]) == 4.0


@given(st.lists(seconds, min_size=1), st.floats(min_value=0.01, max_value=1))
def test_a_percentile_is_one_of_the_values_and_covers_its_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


@pytest.mark.parametrize("share", [0.0, -1.0, 1.01])
def test_a_share_outside_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile([1.0], share)


def test_ratio_of_missing_figures_is_missing() -> None:
    assert ratio(6.0, 3.0) == 2.0
    assert ratio(None, 3.0) is None
    assert ratio(6.0, None) is None
    assert ratio(6.0, 0.0) is None
