"""How builds and reports look in a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from export.progress import Progress as News
from export.progress import ProgressListener, Stage
from export.verification.report import Check, Comparison, VerificationReport
from export.verification.report_page import describe_tolerance
from families.manifest import triton_model_name

_AT_REST = (Stage.CACHED, Stage.BUILT, Stage.PUBLISHED, Stage.UNCHANGED)


@contextmanager
def progress_lines(console: Console) -> Iterator[ProgressListener]:
    """A bar a component with its stage and the time it takes; where nobody watches, a line for every new stage."""
    if not console.is_terminal:
        yield _plain_lines(console)
        return
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), BarColumn(bar_width=24))
    with Progress(*columns, TextColumn("{task.fields[stage]}"), TimeElapsedColumn(), console=console) as progress:
        lines: dict[str, TaskID] = {}

        def show(news: News) -> None:
            name = triton_model_name(news.model, news.component)
            if name not in lines:
                lines[name] = progress.add_task(name, total=None, stage="")
            stage = f"{news.stage.value}: {news.doing}" if news.doing else news.stage.value
            if news.stage in _AT_REST:
                progress.update(lines[name], stage=stage, total=1, completed=1)
            elif news.done is None:
                progress.update(lines[name], stage=stage, total=None)
            else:
                progress.update(lines[name], stage=stage, total=1, completed=news.done)

        yield show


def _plain_lines(console: Console) -> ProgressListener:
    """A line for every change of stage; the steps within one would fill a log."""
    said: dict[str, Stage] = {}

    def say(news: News) -> None:
        name = triton_model_name(news.model, news.component)
        if said.get(name) is not news.stage:
            said[name] = news.stage
            console.print(f"{name} {news.stage.value}")

    return say


def summary_table(reports: tuple[VerificationReport, ...]) -> Table:
    """One line a component: largest errors against torch and of rows alone, whole pictures, what was allowed."""
    columns = ("component", "checks", "nodes", "to torch", "row alone", "pictures", "allowed", "result")
    table = Table(*(Column(name, overflow="fold") for name in columns))
    for report in reports:
        psnr = report.lowest_psnr()
        drawn = any(check.comparison is Comparison.END_TO_END for check in report.checks)
        table.add_row(
            f"{report.model}.{report.component}",
            str(len(report.checks)),
            next((fact.value for fact in report.facts if fact.name == "nodes"), ""),
            f"{report.worst(Comparison.TORCH):.2g}",
            f"{report.worst(Comparison.ROW_ALONE):.2g}",
            f"{psnr:.1f} dB" if psnr is not None else "identical" if drawn else "",
            describe_tolerance(report.tolerance),
            "[green]passed[/]" if report.passed else f"[red]{len(report.failures)} failed[/]",
        )
    return table


def failure_table(failures: tuple[Check, ...]) -> Table:
    """The checks that failed, each with its problem."""
    table = Table("sample", "output", "against", "problem")
    for check in failures:
        table.add_row(check.sample, check.output, check.comparison.value, check.problem)
    return table
