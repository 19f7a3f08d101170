"""Engines through the build core: the graph's artefact first, then the engine, checked against its signature."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.runtimes.tensorrt_description import EngineTensor, read_description, write_description
from export.artefacts.artefact import Artefact
from export.build import Builder
from export.errors import BuildError, RecipeError
from export.recipe import EngineFlags, Range, Recipe, ShapeProfile, Target
from export.targets import CompileJob
from export.tensorrt import execution
from export.tensorrt.execution import _fits
from export.tensorrt.verify import engine_checks
from export.verification.report import parse_report
from export.verification.samples import ReferenceSamples
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import ONNX_FILE, PLAN_FILE
from families.tensors import Array

pytest.importorskip("tensorrt_rtx_bindings")

RECIPE = Recipe(
    name="tiny-rtx",
    model="tiny",
    components=(Component.TEXT_ENCODER,),
    target=Target.TENSORRT_RTX,
    profiles=(ShapeProfile(batch=Range(min=1, opt=2, max=4)),),
    engine=EngineFlags(compute_capabilities=("8.9",)),
)


@pytest.fixture(scope="module")
def engine(source: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Artefact]:
    runtime_dir = tmp_path_factory.mktemp("engines")
    (artefact,) = Builder(runtime_dir).build(source, RECIPE)
    return runtime_dir, artefact


def test_an_engine_is_an_artefact(engine: tuple[Path, Artefact]) -> None:
    runtime_dir, artefact = engine
    assert {PLAN_FILE, "engine.json"} <= {path.name for path in artefact.folder.iterdir()}
    assert len(list((runtime_dir / "artefacts" / "tiny").glob("text_encoder-*"))) == 2, "its graph is one of its own"


def test_the_report_says_what_was_not_tried(engine: tuple[Path, Artefact]) -> None:
    report = parse_report((engine[1].folder / "verification.json").read_text())
    assert report.passed
    facts = {fact.name: fact.value for fact in report.facts}
    assert facts["engine"].startswith("tensorrt-rtx ")
    assert facts["engine for"] == "8.9"
    if not torch.cuda.is_available():
        assert facts["engine executed"].startswith("no: this machine has no GPU")
    samples = {check.sample for check in report.checks}
    assert any(sample.startswith("graph, ") for sample in samples), "the graph was compared with torch"
    assert {"inputs", "input input_ids", "output context", "profiles", PLAN_FILE} <= samples


def test_a_builds_report_takes_over_the_graphs_and_verify_repeats_it(
    source: ModelSource, engine: tuple[Path, Artefact]
) -> None:
    runtime_dir, artefact = engine
    said = {fact.name: fact.value for fact in parse_report(artefact.report_text()).facts}
    assert said["graph checked"].startswith("as text_encoder-")
    (again,) = Builder(runtime_dir).verify(source, RECIPE)
    assert "graph checked" not in {fact.name for fact in again.facts}
    graph = [check for check in again.checks if check.sample.startswith("graph, ")]
    stored = [check for check in parse_report(artefact.report_text()).checks if check.sample.startswith("graph, ")]
    assert graph == stored != []


def test_a_second_build_finds_it(source: ModelSource, engine: tuple[Path, Artefact]) -> None:
    runtime_dir, artefact = engine
    before = (artefact.folder / PLAN_FILE).stat().st_mtime_ns
    (again,) = Builder(runtime_dir).build(source, RECIPE)
    assert again.folder == artefact.folder
    assert (again.folder / PLAN_FILE).stat().st_mtime_ns == before


def test_other_profiles_and_gpus_are_other_engines(source: ModelSource, engine: tuple[Path, Artefact]) -> None:
    builder = Builder(engine[0])
    keys = {
        builder.key(source, Component.TEXT_ENCODER, recipe).digest
        for recipe in (
            RECIPE,
            RECIPE.model_copy(update={"profiles": (ShapeProfile(),)}),
            RECIPE.model_copy(update={"engine": EngineFlags(compute_capabilities=("12.0",))}),
            RECIPE.model_copy(update={"target": Target.TENSORRT}),
        )
    }
    assert len(keys) == 4


def test_a_profile_outside_of_the_models_range_builds_nothing(
    source: ModelSource, engine: tuple[Path, Artefact]
) -> None:
    wide = RECIPE.model_copy(update={"profiles": (ShapeProfile(width=Range(min=64, opt=64, max=4096)),)})
    before = set(engine[0].rglob(PLAN_FILE))
    with pytest.raises(RecipeError, match=r"profiles\[0\]\.width\.max"):
        Builder(engine[0]).build(source, wide)
    assert set(engine[0].rglob(PLAN_FILE)) == before


def test_a_missing_library_is_told_before_the_graph_is_built(
    source: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("engine.runtimes.tensorrt_library.importlib.import_module", absent)
    with pytest.raises(BuildError, match="pip install tensorrt"):
        Builder(tmp_path).build(source, RECIPE.model_copy(update={"target": Target.TENSORRT}))
    assert not list(tmp_path.rglob(ONNX_FILE))


def _job(source: ModelSource, engine: tuple[Path, Artefact], folder: Path) -> CompileJob:
    key = Builder(engine[0]).key(source, Component.TEXT_ENCODER, RECIPE)
    return CompileJob(source, Component.TEXT_ENCODER, RECIPE, key, folder, folder / ONNX_FILE)


def test_what_does_not_fit_the_signature_fails(
    source: ModelSource, engine: tuple[Path, Artefact], tmp_path: Path
) -> None:
    built = read_description(engine[1].folder)
    (tmp_path / PLAN_FILE).write_bytes(b"short")
    other = replace(built, inputs=(EngineTensor("input_ids", "INT32", (-1, 16)),), outputs=(), profiles=())
    write_description(other, tmp_path)
    checks, _ = engine_checks(_job(source, engine, tmp_path), ReferenceSamples(source))
    failed = {check.sample: check.problem for check in checks if not check.passed}
    assert set(failed) == {"input input_ids", "outputs", "profiles", PLAN_FILE}
    assert failed["input input_ids"] == "INT32 where INT64 was due"


def test_samples_outside_of_every_profile_are_left_out(source: ModelSource, engine: tuple[Path, Artefact]) -> None:
    description = read_description(engine[1].folder)
    samples = ReferenceSamples(source).of(Component.TEXT_ENCODER)
    assert [_fits(sample, description) for sample in samples] == [True, True, False], "the last has 5 rows"


class _StandIn:
    """Torch in the engine's place, off by `error`."""

    def __init__(self, samples: ReferenceSamples, error: float) -> None:
        self._module, self._error = samples.module(Component.TEXT_ENCODER), error

    def run_arrays(self, inputs: list[Array]) -> tuple[Array, ...]:
        with torch.inference_mode():
            return ((self._module(torch.from_numpy(inputs[0])) + self._error).numpy(),)


@pytest.mark.parametrize(("error", "passes"), [(0.0, True), (0.5, False), (float("nan"), False)])
def test_where_a_gpu_is_every_fitting_sample_is_compared(
    error: float,
    passes: bool,
    source: ModelSource,
    engine: tuple[Path, Artefact],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = ReferenceSamples(source)
    monkeypatch.setattr(execution.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(execution, "open_engine", lambda *_arguments: _StandIn(samples, error))
    job = _job(source, engine, engine[1].folder)
    checks, why_not = execution.executed_checks(job, read_description(engine[1].folder), samples)
    assert why_not == ""
    assert [check.sample for check in checks] == ["engine, 1 prompts", "engine, 2 prompts"]
    assert all(check.passed is passes for check in checks)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_engine_itself_is_held_against_torch(source: ModelSource, tmp_path: Path) -> None:
    components = (Component.TEXT_ENCODER, Component.DENOISER, Component.VAE_DECODER)
    recipe = RECIPE.model_copy(update={"components": components, "engine": EngineFlags()})
    for artefact in Builder(tmp_path).build(source, recipe):
        report = parse_report((artefact.folder / "verification.json").read_text())
        facts = {fact.name: fact.value for fact in report.facts}
        assert facts["engine executed"].startswith("on ")
        assert any(check.sample.startswith("engine, ") for check in report.checks)
