"""The TensorRT and TensorRT-RTX targets: `model.plan` and `engine.json`, from an ONNX artefact."""

from __future__ import annotations

from dataclasses import replace

from export.errors import BuildError
from export.graph.target import OnnxCompiler
from export.recipe import Target
from export.targets import CompileJob
from export.tensorrt.builder import EngineRequest, build_engine, load_library
from export.tensorrt.profiles import engine_profiles
from export.tensorrt.verify import engine_checks, renamed
from export.verification.report import Fact, VerificationReport
from export.verification.samples import ReferenceSamples

TIMING_CACHES = "timing-caches"


class TensorRtCompiler:
    """Implements `export.targets.Compiler` for both libraries."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def require(self) -> None:
        """See the protocol."""
        load_library(self._target)

    def compile(self, job: CompileJob, samples: ReferenceSamples) -> None:
        """See the protocol. Raises RecipeError for profiles or flags that do not fit, BuildError for the rest."""
        if job.onnx is None:
            raise BuildError(f"{job.component}: an engine is compiled from an ONNX artefact, and there is none")
        profiles = engine_profiles(job.source.manifest, job.component, job.recipe.profiles)
        # Beside the artefacts, which lie at <runtime dir>/artefacts/<model>/<artefact>.
        caches = job.destination.parents[2] / TIMING_CACHES
        request = EngineRequest(self._target, job.onnx, profiles, job.recipe.engine, caches)
        build_engine(request, job.destination, job.progress)

    def verify(self, job: CompileJob, samples: ReferenceSamples) -> VerificationReport:
        """The engine against its signature and, on a GPU, against torch; the graph as it was checked, or anew."""
        if job.onnx is None or not job.onnx.is_file():
            raise BuildError(
                f"{job.component}: the ONNX artefact that the engine was compiled from is gone; build again"
            )
        graph = job.graph_report or OnnxCompiler().verify(replace(job, destination=job.onnx.parent), samples)
        checks, facts = engine_checks(job, samples)
        of_graph = tuple(renamed(check, "graph, ") for check in graph.checks)
        source = (
            () if job.graph_report is None else (Fact("graph checked", f"as {job.onnx.parent.name}, with pictures"),)
        )
        return replace(graph, checks=(*of_graph, *checks), facts=(*graph.facts, *source, *facts))
