"""Opens what an alias leads to as a model that can be served, under the alias."""

import logging

from families.catalog import FAMILIES, ModelSource, load_source
from families.errors import FamilyError
from families.registry.errors import UnservableAlias
from families.registry.registry import ModelRegistry
from families.registry.report import ModelReport, OriginKind, Status
from families.sources.read import read_header

logger = logging.getLogger(__name__)


def open_alias(registry: ModelRegistry, alias: str) -> ModelSource:
    """The model of one alias; nothing is hashed. Raises UnknownAlias, or UnservableAlias naming alias, path, reason."""
    return open_report(registry.resolve(alias).report)


def open_report(report: ModelReport) -> ModelSource:
    """The model that was found. Raises UnservableAlias naming alias, path and reason."""
    path = report.path
    if path is None:
        nowhere = f"found nowhere; `triptych models resolve {report.alias}` tells what was looked at"
        raise UnservableAlias(f"alias {report.alias} cannot be served: {'; '.join(report.problems) or nowhere}")
    try:
        if reason := _refusal(report):
            raise UnservableAlias(f"alias {report.alias} cannot be served: {path}: {reason}")
        source = load_source(path, report.alias)
        for component in source.manifest.components:
            for file in (file for part in source.weights(component) for file in part.files):
                read_header(file)  # truncated weights show now, not when the first request waits for them
    except UnservableAlias:
        raise
    except FamilyError as error:
        raise UnservableAlias(f"alias {report.alias} cannot be served: {path}: {error}") from error
    return source


def found_aliases(registry: ModelRegistry) -> dict[str, ModelSource]:
    """Every alias that its variable or a root leads to and that can be served; others there are warned of.

    The embedded models are left out: they stand in where nothing else is configured, and are no find.
    """
    found: dict[str, ModelSource] = {}
    for alias in registry.aliases:
        if registry.entry(alias).sees:
            continue
        report = registry.resolve(alias).report
        if not leads_somewhere(report):
            continue
        try:
            found[alias] = open_report(report)
        except UnservableAlias as error:
            logger.warning("%s", error)
    return found


def leads_somewhere(report: ModelReport) -> bool:
    """Whether somebody put a model here: its variable is set, or a root has a match."""
    if report.origin is not None:
        return report.origin.kind is not OriginKind.EMBEDDED
    return report.status is Status.MISSING and bool(report.problems)


def _refusal(report: ModelReport) -> str | None:
    """Why what was found is not the declared model, or none that can be served yet."""
    if report.status is Status.REFUSED or report.family is None:
        return "; ".join(report.problems)
    if report.family != report.declared_family:
        return f"declared as {report.declared_family}, but the content is {report.family}"
    if not report.servable:
        return f"{report.family} is recognised but not served yet; served are {', '.join(FAMILIES)}"
    return None
