"""Short soaks over real models: memory is looked at while they come and go."""

import asyncio
from pathlib import Path

import psutil
import pytest

from benchmarks.residency.models import GIANT, publish_models
from benchmarks.residency.sampling import Sampler
from benchmarks.residency.soak import Plan, ask, models_of
from benchmarks.residency.stacks import stack, until_unloaded
from export.publishing.options import Runtime
from families.catalog import load_source
from gateway.settings import BackendSettings, ResidencySettings
from tests.support.published import publish as published
from tests.support.tiny_model import write_tiny_model

NAMES = ("one", "two", "three", "four", "five")
MIB = 2**20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def test_the_workload_asks_for_every_model_and_the_impossible_one() -> None:
    asked = models_of(Plan(), NAMES)
    assert len(asked) == 300 and set(asked) == {*NAMES, GIANT}
    assert asked == models_of(Plan(), NAMES)


@pytest.mark.triton
async def test_two_models_where_one_fits_on_real_triton(folder: Path, tmp_path: Path) -> None:
    names, budget = ("one", "two"), 760 * MIB
    source = load_source(folder)
    graphs = {part: published(source, tmp_path / "graphs", part, onnx=True) for part in source.manifest.components}
    sources = publish_models(folder, names, Runtime.ONNXRUNTIME, tmp_path, graphs)
    backend = BackendSettings(kind="triton", runtime="onnxruntime", threads=1)
    residency = ResidencySettings(budget_bytes=budget, auto_unload_timeout=2, wait_timeout=200)
    async with stack(tmp_path, sources, backend, residency) as running:
        with Sampler(running.models, lambda: running.residency().used) as sampler:
            answers = [await ask(running, GIANT, 0, 2)]
            for name in names:
                answers += await asyncio.gather(*(ask(running, name, number, 2) for number in range(15)))
            await until_unloaded(running)
        assert answers[0].code == "insufficient_memory"
        assert {answer.status for answer in answers[1:]} == {200}
        assert running.models() == 0, "processes of components have outlived them"
    assert max(sample.reserved for sample in sampler.samples) <= budget
    assert max(sample.resident for sample in sampler.samples) <= budget
    assert not [child for child in psutil.Process().children() if child.name() == "tritonserver"]
