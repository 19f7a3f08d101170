"""`python -m benchmarks.residency.plot`: what was reserved and what was taken, over the time of each soak."""

from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import typer
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from pydantic import TypeAdapter

from benchmarks.residency.result import Result, Soak

_ROOT = Path(__file__).resolve().parents[2]
_MIB = 2**20
_INK, _MUTED, _BUDGET, _RESERVED, _TAKEN = "#22262b", "#6b7280", "#c2703d", "#b9c7ee", "#1f4fd8"


def draw(result: Result, path: Path) -> None:
    """One panel a backend, as a PNG."""
    mpl.use("Agg")
    mpl.rcParams.update(
        {"font.size": 10, "text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _MUTED, "ytick.color": _MUTED}
    )
    figure, panels = plt.subplots(1, len(result.soaks), figsize=(6.5 * len(result.soaks), 4.2), squeeze=False)
    for panel, soak in zip(panels[0], result.soaks, strict=True):
        _panel(panel, soak)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(panel: Axes, soak: Soak) -> None:
    seconds = [sample.seconds for sample in soak.samples]
    reserved = [sample.reserved / _MIB for sample in soak.samples]
    taken = [max(0, sample.resident - soak.base) / _MIB for sample in soak.samples]
    panel.fill_between(seconds, reserved, color=_RESERVED, step="post", label="reserved")
    panel.plot(seconds, taken, color=_TAKEN, linewidth=1.1, label="taken")
    panel.axhline(soak.budget / _MIB, color=_BUDGET, linewidth=1.4, label="budget")
    panel.set_ylim(0, 1.15 * max(soak.budget / _MIB, *reserved, *taken))
    panel.set_xlim(0, seconds[-1])
    panel.set_xlabel("seconds")
    panel.set_ylabel("MiB")
    panel.set_title(f"{soak.backend}, {len(soak.answers)} requests for five models", fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)


def main(
    results: Annotated[Path, typer.Option(help="What a run has written.")] = _ROOT
    / "benchmarks/results/residency.json",
    out: Annotated[Path, typer.Option(help="The picture.")] = _ROOT / "docs/images/residency.png",
) -> None:
    """Draw what `benchmarks.residency` has found."""
    draw(TypeAdapter(Result).validate_json(results.read_bytes()), out)


if __name__ == "__main__":
    typer.run(main)
