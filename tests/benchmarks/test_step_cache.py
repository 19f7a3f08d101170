"""The step cache's table, and rows from what was drawn."""

import numpy as np
import pytest

from benchmarks.machine import fingerprint
from benchmarks.step_cache.crowd import Drawn
from benchmarks.step_cache.report import Way, measurement_of
from benchmarks.step_cache.result import markdown


def drawn(seconds: tuple[float, ...], saved: int, *, shade: int) -> list[Drawn]:
    pictures = np.full((2, 16, 16, 3), shade, np.uint8)
    pictures[:, ::2] = 200
    return [Drawn(pictures, second, 20 - saved, saved) for second in seconds]


def test_rows_hold_a_way_against_every_step_of_the_same_round() -> None:
    ways = {
        Way(10, 10): drawn((2.0, 4.0), 0, shade=100),
        Way(10, 10, 0.2): drawn((1.0, 2.0), 8, shade=110),
    }
    measurement = measurement_of("now", fingerprint(), "toy", "ddim", ways)
    exact, cached = measurement.rows
    assert (exact.saved, exact.faster, exact.psnr_db) == (0.0, 1.0, 60.0)
    assert cached.saved == pytest.approx(0.4)
    assert cached.faster == 2.0
    assert cached.psnr_db == pytest.approx(10 * np.log10(255**2 / 50), abs=1e-6)
    lines = markdown(measurement).splitlines()
    assert lines[-2].startswith("| 10 | every step | 0 % | 0.75 | 1.00x | - | - |")
    assert lines[-1].startswith("| 10 | step cache 0.2 | 40 % | 1.50 | 2.00x | 31.1 dB | ")
