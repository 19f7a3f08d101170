"""The table, for the terminal and for Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.results import Run
from benchmarks.summary import Summary
from benchmarks.targets import CROWD
from benchmarks.workload import LONG_STEPS, SHORT_STEPS


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of text."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grids(run: Run) -> tuple[Grid, ...]:
    """The tables of a run: speed, mixed load, and what it takes to run."""
    return (_speed(run), _mixed(run), _footprint(run.summaries))


def show(run: Run, console: Console) -> None:
    """Print tables, problems and promises."""
    console.print(settings_line(run))
    for grid in grids(run):
        table = Table(title=grid.title, title_justify="left")
        for index, name in enumerate(grid.header):
            table.add_column(name, justify="right" if index else "left", no_wrap=index == 0)
        for row in grid.rows:
            table.add_row(*row)
        console.print(table)
    for summary in run.summaries:
        if summary.problem:
            console.print(f"[yellow]{summary.label}[/]: {summary.problem}", highlight=False)
    for target in run.targets:
        console.print(target.line, style="green" if target.passed else "red", highlight=False)


def markdown(run: Run) -> str:
    """The same for a README."""
    parts = [settings_line(run)]
    for grid in grids(run):
        lines = [f"**{grid.title}**", "", _markdown_row(grid.header)]
        lines.append("|" + "|".join([" --- "] + [" ---: "] * (len(grid.header) - 1)) + "|")
        parts.append("\n".join(lines + [_markdown_row(row) for row in grid.rows]))
    parts.append("\n".join(f"- {target.line}" for target in run.targets))
    return "\n\n".join(parts) + "\n"


def settings_line(run: Run) -> str:
    """One sentence about what was asked of everybody, and on what."""
    workload, machine = run.workload, run.machine
    where = ", ".join([machine.cpu, f"{machine.cores} cores", f"{machine.memory_gib:g} GiB", *machine.accelerators])
    return (
        f"{workload.model}: {workload.width}x{workload.height}, {workload.steps} steps, {workload.scheduler}, "
        f"guidance {workload.guidance_scale:g}, PNG as base64; medians of {run.repeats_done} repeats; {where}."
    )


def _speed(run: Run) -> Grid:
    crowds = run.plan.users
    header = ("", "latency", "p95", *(f"{users}" for users in crowds))
    rows = []
    for summary in run.summaries:
        alone = summary.point(1)
        rates = [summary.point(users) for users in crowds]
        rows.append(
            (
                summary.label,
                _milliseconds(alone.median_s if alone else None),
                _milliseconds(alone.p95_s if alone else None),
                *(_number(point.images_per_s if point else None) for point in rates),
            )
        )
    return Grid("Latency of one user; images/s by users at once", header, tuple(rows))


def _mixed(run: Run) -> Grid:
    header = ("", "alone", "p95 beside", "ratio", "long images/s", "rows/step")
    rows = tuple(
        (
            summary.label,
            _milliseconds(summary.short_solo_s),
            _milliseconds(summary.short_loaded_p95_s),
            _number(summary.short_ratio, "x"),
            _number(summary.long_per_s),
            _number(next((entry.rows for entry in summary.rows_per_step if entry.users == CROWD), None)),
        )
        for summary in run.summaries
    )
    title = (
        f"A {SHORT_STEPS}-step request alone and beside {run.plan.long_users} users of {LONG_STEPS} steps; "
        f"mean rows of a denoiser call at {CROWD} users"
    )
    return Grid(title, header, rows)


def _footprint(summaries: Sequence[Summary]) -> Grid:
    rows = []
    for summary in summaries:
        detail = ", ".join(f"{process.role} {process.rss_mib:.0f}" for process in summary.memory)
        rows.append(
            (
                summary.label,
                _number(summary.live_s, " s"),
                _number(summary.ready_s, " s"),
                _number(summary.memory_mib, " MiB", digits=0),
                detail or "-",
            )
        )
    header = ("", "answers after", "ready after", "memory", "by process, MiB")
    return Grid("Start-up and resident memory", header, tuple(rows))


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.0f} ms"


def _number(value: float | None, unit: str = "", digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}{unit}"
