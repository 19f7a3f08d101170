"""`python -m benchmarks.plot RESULT.json`: one picture of a run, for the README."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import typer
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.report import settings_line
from benchmarks.results import Run, load
from benchmarks.summary import Summary
from benchmarks.workload import LONG_STEPS, SHORT_STEPS

_ROOT = Path(__file__).resolve().parent.parent
_INK = "#22262b"
_MUTED = "#6b7280"
_GRID = "#e5e7eb"


@dataclass(frozen=True, slots=True)
class Style:
    """How one contender is drawn."""

    colour: str
    marker: str
    dash: str = "-"
    width: float = 1.8


_STYLES = {
    "diffusers": Style("#8a8f98", "x", ":"),
    "fastapi": Style("#c2703d", "s"),
    "litserve": Style("#b8a032", "^"),
    "engine": Style("#5d8fc9", "D", "--", 1.4),
    "inprocess": Style("#2f9e8f", "v"),
    "triton": Style("#1f4fd8", "o", "-", 2.8),
}


def draw(run: Run, path: Path) -> None:
    """Throughput, tail latency and the short request's tail, side by side, as a PNG."""
    mpl.use("Agg")
    mpl.rcParams.update(
        {"font.size": 10, "text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _MUTED, "ytick.color": _MUTED}
    )
    figure, (rate, tail, short) = plt.subplots(1, 3, figsize=(14, 4.9), width_ratios=(1, 1, 1.1))
    lines = [summary for summary in run.summaries if summary.points]
    _rates(rate, lines)
    _tails(tail, lines)
    _short_requests(short, [summary for summary in run.summaries if summary.short_loaded_p95_s is not None])
    handles, labels = rate.get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=len(labels), frameon=False, bbox_to_anchor=(0.5, 1.0))
    figure.text(0.5, 0.012, settings_line(run), ha="center", color=_MUTED, fontsize=8)
    figure.tight_layout(rect=(0, 0.035, 1, 0.93), w_pad=2.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, facecolor="white")
    plt.close(figure)


def _rates(axes: Axes, summaries: Sequence[Summary]) -> None:
    for summary in summaries:
        points = [(point.users, point.images_per_s) for point in summary.points]
        _line(axes, summary, points)
    _dress(axes, "Throughput", "images a second", "users at once")
    axes.set_ylim(bottom=0)
    _users_axis(axes, summaries)


def _tails(axes: Axes, summaries: Sequence[Summary]) -> None:
    for summary in summaries:
        points = [(point.users, point.p95_s) for point in summary.points if point.p95_s is not None]
        _line(axes, summary, points)
    _dress(axes, "Latency, p95", "seconds, log scale", "users at once")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    _users_axis(axes, summaries)


def _short_requests(axes: Axes, summaries: Sequence[Summary]) -> None:
    """Two bars a server: alone in a pale tint, p95 beside long requests in full colour, with the ratio written out."""
    for place, summary in enumerate(reversed(summaries)):
        loaded, colour = summary.short_loaded_p95_s or 0.0, _style(summary).colour
        axes.barh(place + 0.19, summary.short_solo_s or 0.0, height=0.34, color=colour, alpha=0.35)
        axes.barh(place - 0.19, loaded, height=0.34, color=colour)
        factor = f"  ({summary.short_ratio:.1f}x)" if summary.short_ratio is not None else ""
        _bar_text(axes, summary.short_solo_s or 0.0, place + 0.19, _seconds(summary.short_solo_s or 0.0) + " alone")
        _bar_text(axes, loaded, place - 0.19, _seconds(loaded) + factor)
    axes.set_yticks(range(len(summaries)), [summary.label for summary in reversed(summaries)])
    axes.tick_params(axis="y", length=0, labelcolor=_INK)
    _dress(axes, f"{SHORT_STEPS}-step request beside {LONG_STEPS}-step ones", "", "seconds, p95")
    axes.grid(visible=False, axis="y")
    axes.set_xlim(right=axes.get_xlim()[1] * 1.22)


def _bar_text(axes: Axes, x: float, y: float, text: str) -> None:
    axes.annotate(text, (x, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5, color=_INK)


def _line(axes: Axes, summary: Summary, points: Sequence[tuple[int, float]]) -> None:
    style = _style(summary)
    axes.plot(
        [users for users, _ in points],
        [value for _, value in points],
        color=style.colour,
        marker=style.marker,
        linestyle=style.dash,
        linewidth=style.width,
        markersize=6,
        label=summary.label,
        zorder=4 if summary.key == "triton" else 3,
    )


def _users_axis(axes: Axes, summaries: Sequence[Summary]) -> None:
    crowds = sorted({point.users for summary in summaries for point in summary.points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(crowds, [str(users) for users in crowds])
    axes.xaxis.set_minor_locator(NullLocator())


def _dress(axes: Axes, title: str, y_label: str, x_label: str) -> None:
    axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold")
    axes.set_ylabel(y_label)
    axes.set_xlabel(x_label)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GRID)


def _style(summary: Summary) -> Style:
    return _STYLES.get(summary.key, Style(_INK, "."))


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def main(
    result: Annotated[Path, typer.Argument(help="A JSON file of benchmarks/results.", exists=True)],
    out: Annotated[Path, typer.Option(help="The picture.")] = _ROOT / "docs/images/throughput.png",
) -> None:
    """Draw one run."""
    draw(load(result), out)


if __name__ == "__main__":
    typer.run(main)
