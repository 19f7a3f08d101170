"""Time and memory over tokens: more layers on one line, larger pictures on another."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.layers.growth.figures import Case, Grown

_INK, _MUTED, _GRID, _LAYERS, _SIZES = "#22262b", "#6b7280", "#e5e7eb", "#1f4fd8", "#c2703d"
_MB = 1e6
Value = Callable[[Grown], float]


def draw(grown: Sequence[Grown], usual: Case, path: Path) -> None:
    """Two panels, as a PNG."""
    mpl.use("Agg")
    mpl.rcParams.update(
        {"font.size": 10, "text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _MUTED, "ytick.color": _MUTED}
    )
    figure, (time, memory) = plt.subplots(1, 2, figsize=(11, 4.8))
    _panel(time, grown, usual, (lambda one: one.step, lambda one: one.decode), ("one evaluation", "decoding"))
    time.set(title="Latency", ylabel="seconds, log scale")
    _panel(
        memory, grown, usual, (lambda one: one.step_bytes / _MB, lambda one: one.all_bytes / _MB),
        ("one evaluation", "and decoding"),
    )  # fmt: skip
    memory.set(title="Memory beyond the loaded model", ylabel="MB, log scale")
    figure.tight_layout(w_pad=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, facecolor="white")
    plt.close(figure)


def _panel(
    axes: Axes, grown: Sequence[Grown], usual: Case, values: tuple[Value, Value], names: tuple[str, str]
) -> None:
    by_layers = [one for one in grown if one.case.side == usual.side]
    by_size = [one for one in grown if one.case.layers == usual.layers]
    kinds = (
        (by_layers, _LAYERS, f"more layers, {usual.side} px", _layers, (-3, 8)),
        (by_size, _SIZES, f"larger, {usual.layers} layers", _side, (6, -12)),
    )
    for some, colour, kind, told, offset in kinds:
        ordered = sorted(some, key=lambda one: one.tokens)
        tokens = [one.tokens for one in ordered]
        for value, name, dash in zip(values, names, ("-", "--"), strict=True):
            label = f"{name}: {kind}"
            axes.plot(
                tokens, [value(one) for one in ordered], dash, color=colour, marker="o", markersize=4, label=label
            )
        for one in ordered:
            if one.case != usual:
                place = (one.tokens, values[0](one))
                axes.annotate(
                    told(one.case), place, xytext=offset, textcoords="offset points", fontsize=8, color=colour
                )
    axes.set(xscale="log", yscale="log", xlabel="tokens, log scale")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, columnspacing=1.2)


def _layers(case: Case) -> str:
    return f"{case.layers}"


def _side(case: Case) -> str:
    return f"{case.side} px"
