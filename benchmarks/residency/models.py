"""Several names of one model, each published on its own: what is loaded for one is nobody else's."""

from collections.abc import Mapping
from pathlib import Path

from export.build import Builder
from export.publishing.options import PublishOptions, Runtime
from export.publishing.publication import Publication
from export.publishing.publish import publish
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.repository import version_folder

GIANT = "giant"
"""A model whose denoiser is larger than any budget: it must be refused, and never be loaded."""
_GIANT_BYTES = 1 << 40


Graphs = Mapping[Component, Path | None]
"""Folders with the components' graphs; None where weights are served as they are."""


def graphs_of(folder: Path, runtime: Runtime, built: Path) -> Graphs:
    """What the runtime needs of the model in `folder`, built below `built` or found there."""
    source = load_source(folder)
    if runtime is not Runtime.ONNXRUNTIME:
        return dict.fromkeys(source.manifest.components)
    return {artefact.component: artefact.folder for artefact in Builder(built).build(source)}


def publish_models(
    folder: Path, names: tuple[str, ...], runtime: Runtime, place: Path, graphs: Graphs
) -> dict[str, ModelSource]:
    """Publish the model in `folder` under each name, and as GIANT, below `place`; the sources by name."""
    repository = place / "model_repository"
    options = PublishOptions(runtime=runtime, threads=1)
    sources = {name: load_source(folder, name) for name in (*names, GIANT)}
    for name, named in sources.items():
        publish([Publication(named, part, options, graph, name) for part, graph in graphs.items()], repository)
    # Sparse: its size is there to be read, its bytes are not.
    with (version_folder(repository, GIANT, Component.DENOISER) / "ballast").open("wb") as ballast:
        ballast.truncate(_GIANT_BYTES)
    return sources
