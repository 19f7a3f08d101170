"""How builds and reports look in a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from export.build import ProgressListener, Stage
from export.report import Check, Comparison, VerificationReport
from families.manifest import Component, triton_model_name

_AT_REST = (Stage.CACHED, Stage.BUILT, Stage.PUBLISHED, Stage.UNCHANGED)


@contextmanager
def progress_lines(console: Console) -> Iterator[ProgressListener]:
    """A line a component with its stage and the time it takes; where nobody watches, a line for every change."""
    if not console.is_terminal:
        yield lambda model, component, stage: console.print(f"{triton_model_name(model, component)} {stage.value}")
        return
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), TextColumn("{task.fields[stage]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        lines: dict[str, TaskID] = {}

        def show(model: str, component: Component, stage: Stage) -> None:
            name = triton_model_name(model, component)
            if name not in lines:
                lines[name] = progress.add_task(name, total=1, stage="")
            done = 1 if stage in _AT_REST else 0
            progress.update(lines[name], stage=stage.value, completed=done)

        yield show


def summary_table(reports: tuple[VerificationReport, ...]) -> Table:
    """One line a component: the largest errors against torch and of rows alone, and what was allowed."""
    table = Table("component", "checks", "to torch", "row alone", "tolerance", "result")
    for report in reports:
        tolerance = report.tolerance
        allowed = f"{tolerance.absolute:g}" + (f" + {tolerance.relative:g} x" if tolerance.relative else "")
        if tolerance.differing < 1:
            allowed += f" on {tolerance.differing:.0%}"
        table.add_row(
            f"{report.model}.{report.component}",
            str(len(report.checks)),
            f"{report.worst(Comparison.TORCH):.2g}",
            f"{report.worst(Comparison.ROW_ALONE):.2g}",
            allowed,
            "[green]passed[/]" if report.passed else f"[red]{len(report.failures)} failed[/]",
        )
    return table


def failure_table(failures: tuple[Check, ...]) -> Table:
    """The checks that failed, each with its problem."""
    table = Table("sample", "output", "against", "problem")
    for check in failures:
        table.add_row(check.sample, check.output, check.comparison.value, check.problem)
    return table
