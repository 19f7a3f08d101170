"""Where a sheet shows something."""

import numpy as np

from gateway.domain.layers import Sheet
from gateway.pipelines.frame import Box

_SHOWS = 8
"""Of 255; below, nobody sees anything of it on a screen."""


def bounds_of(sheet: Sheet, least: int = _SHOWS) -> Box | None:
    """The smallest box around what has at least this alpha; None where that is nothing."""
    shows = sheet[..., 3] >= least
    rows, columns = np.flatnonzero(shows.any(axis=1)), np.flatnonzero(shows.any(axis=0))
    if not rows.size:
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
