"""Opens what an alias leads to as a vision model: a graph that lies somewhere, used as its declaration says."""

import logging
from collections.abc import Iterable

from families.errors import FamilyError
from families.registry.errors import UnservableAlias
from families.registry.registry import ModelRegistry
from families.registry.report import Status
from families.registry.served import leads_somewhere
from families.repository import ONNX_FILE
from families.vision.manifest import MANIFEST_FILE, VisionManifest
from families.vision.source import VisionSource, load_vision, with_graph

logger = logging.getLogger(__name__)


def open_vision_alias(registry: ModelRegistry, alias: str) -> VisionSource:
    """The vision model of one alias. Raises UnknownAlias, or UnservableAlias naming alias, path and reason."""
    entry, report = registry.entry(alias), registry.resolve(alias).report
    if not entry.sees:
        raise UnservableAlias(f"alias {alias} is a {entry.family}, which is no vision model")
    if report.path is None or report.status is not Status.FOUND:
        nowhere = f"found nowhere; `triptych models resolve {alias}` tells what was looked at"
        raise UnservableAlias(f"alias {alias} cannot be served: {'; '.join(report.problems) or nowhere}")
    try:
        if (report.path / MANIFEST_FILE).is_file():
            return load_vision(report.path, alias)
        if entry.vision is None:
            raise UnservableAlias(f"alias {alias} cannot be served: {report.path}: neither it nor the alias says how")
        manifest = VisionManifest(**dict(entry.vision), licence=entry.licence, graph=ONNX_FILE)
        return with_graph(alias, manifest, report.path)
    except UnservableAlias:
        raise
    except FamilyError as error:
        raise UnservableAlias(f"alias {alias} cannot be served: {report.path}: {error}") from error


def found_vision(registry: ModelRegistry, aliases: Iterable[str] | None = None) -> dict[str, VisionSource]:
    """Every vision model that an alias leads to; those that cannot be served are warned of.

    With `aliases` those alone, and one that leads nowhere raises UnservableAlias. Embedded ones are no find.
    """
    if aliases is not None:
        return {alias: open_vision_alias(registry, alias) for alias in vision_aliases(registry, aliases)}
    found: dict[str, VisionSource] = {}
    for alias in vision_aliases(registry, registry.aliases):
        if leads_somewhere(registry.resolve(alias).report):
            try:
                found[alias] = open_vision_alias(registry, alias)
            except UnservableAlias as error:
                logger.warning("%s", error)
    return found


def vision_aliases(registry: ModelRegistry, aliases: Iterable[str]) -> tuple[str, ...]:
    """Those of the aliases that are declared as vision models. Raises UnknownAlias."""
    return tuple(alias for alias in aliases if registry.entry(alias).sees)
