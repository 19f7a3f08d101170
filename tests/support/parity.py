"""Keeps what the parity tests measured and, if asked to, writes it as the tables of a document.

A test that stands in a table has the mark `parity(model, pipeline)`; every comparison in it calls `measured`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
_OPTION = "--parity-table"


@dataclass(frozen=True)
class Row:
    """One test: its model and the reference's pipeline, what it draws, and its worst difference of 255."""

    model: str
    pipeline: str
    case: str
    parameters: str
    worst: int


@dataclass
class _Measurements:
    of_this_test: list[int] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


_measurements = _Measurements()


def measured(worst: int) -> int:
    """A comparison's largest difference of any byte; returns it."""
    _measurements.of_this_test.append(worst)
    return worst


def pytest_addoption(parser: pytest.Parser) -> None:
    """The document to write."""
    parser.addoption(_OPTION, type=Path, help="write the worst differences of the tests marked parity into this file")


def pytest_configure(config: pytest.Config) -> None:
    """The mark is known."""
    config.addinivalue_line(
        "markers", "parity(model, pipeline): compares pictures with the reference's, and stands in the tables"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Measurements belong to the test that runs; one that failed stands in the table with what it measured."""
    _measurements.of_this_test = []
    try:
        return (yield)
    finally:
        mark = item.get_closest_marker("parity")
        if mark is not None and _measurements.of_this_test:
            model, pipeline = mark.args
            _measurements.rows.append(Row(model, pipeline, *_named(item), max(_measurements.of_this_test)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """Replaces what the document says was measured. Only a green run may."""
    document: Path | None = config.getoption(_OPTION)
    if document is None:
        return
    if exitstatus != pytest.ExitCode.OK or not _measurements.rows:
        terminalreporter.line(f"{document} stays as it is: a run must be green and compare something", red=True)
        return
    head, rest = document.read_text(encoding="utf-8").split(BEGIN)
    tail = rest.split(END)[1]
    document.write_text(f"{head}{BEGIN}\n{tables(_measurements.rows)}{END}{tail}", encoding="utf-8")
    terminalreporter.line(f"{document}: {len(_measurements.rows)} comparisons")


def tables(rows: list[Row]) -> str:
    """Markdown: a table a model, in the order of names, after one of all models."""
    models = sorted({row.model for row in rows})
    lines = ["", "| model | comparisons | worst |", "|---|--:|--:|"]
    for model in models:
        worst = [row.worst for row in rows if row.model == model]
        lines.append(f"| {model} | {len(worst)} | {max(worst)}/255 |")
    for model in models:
        lines += ["", f"## {model}", "", "| pipeline | test | case | worst |", "|---|---|---|--:|"]
        lines += [
            f"| `{row.pipeline}` | {row.case} | {row.parameters} | {row.worst}/255 |"
            for row in rows
            if row.model == model
        ]
    return "\n".join([*lines, "", ""])


def _named(item: pytest.Item) -> tuple[str, str]:
    name, _, parameters = item.name.removesuffix("]").partition("[")
    return name.removeprefix("test_").replace("_", " "), re.sub(r"\s*\|\s*", " ", parameters)
