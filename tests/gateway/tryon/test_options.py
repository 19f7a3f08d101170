"""How many steps a try-on takes where nobody says."""

import pytest

from gateway.domain.tryon import TryOnMode
from gateway.settings import TryOnSettings


@pytest.mark.parametrize(("recommended", "fast", "premium"), [(1, 1, 1), (4, 1, 4), (20, 5, 20), (50, 6, 50)])
def test_as_many_as_the_model_recommends_and_a_quarter_of_them_fast(recommended: int, fast: int, premium: int) -> None:
    options = TryOnSettings().options
    assert options.of(TryOnMode.FAST).steps_of(recommended) == fast
    assert options.of(TryOnMode.PREMIUM).steps_of(recommended) == premium


def test_what_is_configured_holds_for_every_model() -> None:
    options = TryOnSettings(fast_steps=9, premium_steps=20).options
    assert options.of(TryOnMode.FAST).steps_of(4) == 9
    assert options.of(TryOnMode.PREMIUM).steps_of(50) == 20
