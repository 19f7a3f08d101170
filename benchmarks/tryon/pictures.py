"""What people look at: the contact sheet, and where the time goes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image, ImageDraw, ImageFont

from benchmarks.crowds import Load
from benchmarks.tryon.asking import Pixels
from wardrobe.evaluation.tryon_score import TryOnCase

COLUMNS = ("person", "garment", "resized", "fast", "premium", "truth")
_GROUPS = 2
_SIDE, _GAP, _HEAD = 128, 6, 22
_PAPER, _INK = (250, 249, 246), (40, 40, 46)


def contact_sheet(cases: Sequence[TryOnCase], rows: Sequence[Sequence[Pixels]]) -> Image.Image:
    """`rows`: of each case the garment resized into its mask, fast's picture and premium's."""
    lines = -(-len(cases) // _GROUPS)
    group = len(COLUMNS) * (_SIDE + _GAP) + 3 * _GAP
    sheet = Image.new("RGB", (_GROUPS * group + _GAP, _HEAD + lines * (_SIDE + _GAP) + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for at in range(_GROUPS):
        for column, name in enumerate(COLUMNS):
            pen.text((at * group + 2 * _GAP + column * (_SIDE + _GAP), 4), name, fill=_INK, font=font)
    for index, (case, drawn) in enumerate(zip(cases, rows, strict=True)):
        left, top = index % _GROUPS * group + 2 * _GAP, _HEAD + index // _GROUPS * (_SIDE + _GAP)
        for column, pixels in enumerate((case.person, case.garment, *drawn, case.truth)):
            sheet.paste(Image.fromarray(np.ascontiguousarray(pixels)), (left + column * (_SIDE + _GAP), top))
    return sheet


def stage_plot(loads: Sequence[Load], path: Path) -> None:
    """A bar a load, a piece a stage."""
    mpl.use("Agg")
    figure, axes = plt.subplots(figsize=(9, 3.2))
    names = [f"{load.kind}, {load.users} user{'s' if load.users > 1 else ''}" for load in loads]
    start = np.zeros(len(loads))
    for index, stage in enumerate(dict.fromkeys(stage for load in loads for stage in load.stages)):
        seconds = np.array([load.stages.get(stage, 0.0) for load in loads])
        axes.barh(names, seconds, left=start, color=f"C{index % 10}", label=stage)
        start += seconds
    axes.invert_yaxis()
    axes.set_xlabel("seconds, median")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(ncols=1, frameon=False, bbox_to_anchor=(1.01, 1), loc="upper left", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
