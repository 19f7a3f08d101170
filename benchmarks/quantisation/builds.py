"""Builds recipes through the command line, and reads back what was built."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from export.artefacts.artefact import Artefact
from export.build import Builder
from export.recipe import Recipe, Target
from export.recipe_components import components_of
from export.recipe_files import find_recipe
from export.verification.report import Comparison, parse_report
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import ONNX_FILE, PLAN_FILE


class BuildFailedError(Exception):
    """`triptych export build` ended with another status than 0."""


@dataclass(frozen=True, slots=True)
class BuiltComponent:
    """`size` in bytes of graph or engine with its weights; `error` is the graph's relative L2 error against float32.

    `psnr_db` is of the two pictures that the build draws with this component replaced; None: identical to torch's.

    `executed` says, in the build's own words, who computed the graph's numbers and whether an engine ran.
    """

    component: str
    size: int
    seconds: float
    error: float
    psnr_db: float | None
    executed: str


@dataclass(frozen=True, slots=True)
class Built:
    """One recipe's artefacts and what is to be known of them; `graphs` are the ONNX files by component."""

    recipe: Recipe
    artefacts: tuple[Artefact, ...]
    graphs: dict[Component, Path]
    components: tuple[BuiltComponent, ...]

    @property
    def key(self) -> str:
        """Changes whenever a file could."""
        return "-".join(artefact.key[:8] for artefact in self.artefacts)


def build(name: str, source: ModelSource, runtime_dir: Path) -> Built:
    """Build what is missing, as a user would. Raises BuildFailedError with the last lines of what was said."""
    command = [sys.executable, "-m", "triptych", "export", "build", "--recipe", name]
    command += ["--runtime-dir", str(runtime_dir), "--models-dir", str(source.path.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailedError(f"{name}: exit status {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")
    recipe, builder = find_recipe(name), Builder(runtime_dir)
    artefacts = builder.build(source, recipe)
    components = components_of(recipe, source.manifest)
    keys = {component: builder.graph_key(source, component, recipe) for component in components}
    graphs = {part: builder.store.folder(source.manifest.name, key) / ONNX_FILE for part, key in keys.items()}
    return Built(recipe, artefacts, graphs, tuple(_facts(artefact, recipe) for artefact in artefacts))


def _facts(artefact: Artefact, recipe: Recipe) -> BuiltComponent:
    report, record = parse_report(artefact.report_text()), artefact.record()
    stem = ONNX_FILE if recipe.target is Target.ONNX else PLAN_FILE
    # An engine's own comparison with torch is there only where a GPU ran it; its graph's always is.
    errors = [check.norm for check in report.checks if check.comparison is Comparison.TORCH and check.norm is not None]
    return BuiltComponent(
        component=artefact.component.value,
        size=sum(file.size for file in record.files if file.path.startswith(stem)),
        seconds=record.seconds,
        error=max(errors),
        psnr_db=report.lowest_psnr(),
        executed="; ".join(
            f"{fact.name} {_brief(fact.value)}" for fact in report.facts if fact.name.endswith(" executed")
        ),
    )


def _brief(words: str) -> str:
    """Without a library's own complaint and what follows from it."""
    return words.partition(": ONNX Runtime says")[0].partition(";")[0]
