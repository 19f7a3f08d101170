"""How models and their resolutions look in a terminal."""

from collections.abc import Iterable, Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from families.catalog import ModelSource
from families.registry import DigestState, ModelReport, Status
from families.registry.report import Digest, Origin, OriginKind

_STYLES = {Status.FOUND: "green", Status.MISSING: "dim", Status.REFUSED: "red"}


def served_table(found: Mapping[str, ModelSource]) -> Table:
    """One line a model that would be served."""
    table = Table("id", "family", "size", "steps", "scheduler", "guidance", "licence", "path")
    for name, source in found.items():
        size, defaults = source.manifest.size, source.manifest.defaults
        table.add_row(
            f"sd/{name}",
            source.manifest.family,
            f"{size.default_width}x{size.default_height}",
            str(defaults.steps),
            defaults.scheduler,
            f"{defaults.guidance_scale:g}",
            source.manifest.licence,
            str(source.path),
        )
    return table


def resolution_table(reports: Iterable[ModelReport]) -> Table:
    """One line an alias."""
    table = Table(box=SIMPLE_HEAD)
    for heading in ("alias", "status", "content", "size"):
        table.add_column(heading, no_wrap=True)
    table.add_column("licence")
    for report in reports:
        table.add_row(
            report.alias,
            Text(report.status.value, style=_STYLES[report.status]),
            _content(report),
            decimal(report.size_bytes) if report.size_bytes is not None else "",
            report.licence if report.commercial_use else f"{report.licence} [yellow](non-commercial)[/]",
        )
    return table


def resolution_details(report: ModelReport, *, search: bool) -> Group:
    """Path, format, hash and problems; with `search` everything that was looked at."""
    lines = [f"[bold]{report.alias}[/] {escape(str(report.path or f'not found; {report.variable} may name its path'))}"]
    if report.origin is not None:
        content = f"  {report.format.value}, " if report.format else "  "
        lines.append(f"{content}from {_origin(report.origin)}{_digest(report.digest)}")
    lines += [f"  [yellow]problem:[/] {escape(problem)}" for problem in report.problems]
    if search:
        lines += [f"  looked at {escape(look.place)}: {escape(look.outcome)}" for look in report.looked_at]
    return Group(*lines)


def _content(report: ModelReport) -> str:
    if report.family is None:
        return "unknown family" if report.format else ""
    return report.family if report.servable else f"{report.family} (not served yet)"


def _origin(origin: Origin) -> str:
    match origin.kind:
        case OriginKind.ENVIRONMENT:
            return escape(f"variable {origin.variable}")
        case OriginKind.ROOT:
            return escape(f"root {origin.root}, pattern {origin.pattern}")
        case OriginKind.EMBEDDED:
            return "the embedded models"


def _digest(digest: Digest | None) -> str:
    if digest is None:
        return ""
    return f", sha256 {digest.sha256}" if digest.state is DigestState.DONE else f", sha256 {digest.state.value}"
