"""A layered model, FLUX.2-klein and a try-on on real Triton, in memory that holds one of them.

They come in a dozen times, each time as processes that load torch and diffusers: six seconds of a core each.
"""

import asyncio
import json
import re
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from export.publishing.options import PublishOptions, Runtime
from export.publishing.prepare import prepare_model
from families.catalog import load_source
from families.embedded import embedded_models
from families.manifest import Component
from families.repository import REPOSITORY_FOLDER, version_folder
from gateway.adapters.memory import own_bytes
from tests.e2e.fitting import GARMENT, PERSON
from tests.gateway.api.studio import png, uri
from tests.gateway.layers.separator import ROUTE, picture
from tests.gateway.test_mistakes import error_of
from tests.support.metrics import gateway_metrics, sample
from tests.support.stack import RunningStack, start_stack
from tests.support.tiny_catvton import FEW_BLOCKS, write_tiny_catvton
from tests.support.tiny_flux2 import write_tiny_flux2
from tests.support.tiny_qwen_image_layered import write_tiny_qwen_image_layered

LAYERED, FLUX, TRYON, GIANT = "tiny-layered", "tiny-flux2", "tiny-tryon", "giant"
_SAME = {"seed": 5, "num_inference_steps": 2, "deterministic": True, "response_format": "b64_json"}
_TAKE_APART = {"image": uri(picture(100, 70)), "prompt": "a red dress", "layers": 3}
_DRESS = {"model_image": uri(png(PERSON)), "garment_image": uri(png(GARMENT))}
ROUTES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    LAYERED: (ROUTE, _TAKE_APART),
    FLUX: ("/v1/images/edits", {"prompt": "a blue hat", "size": "64x64"}),
    TRYON: ("/v1/tryon-fast", _DRESS),
    GIANT: (ROUTE, _TAKE_APART),
}
SMALL = (LAYERED, FLUX, TRYON)
_MIB = 1 << 20
_BUDGET = 2300 * _MIB
"""A process with torch takes some 500 MiB, and a model has three or four. That one fits and two do not is looked at."""
_GIANT_BYTES = 1 << 40
_READY_SECONDS = 300
_LOOK_SECONDS = 0.5
"""A load takes seconds, and looking a tenth of one of a core."""
_COMPONENT = re.compile(
    r'^triptych_residency_component_bytes\{component="([^".]+)\.([^"]+)",state="(\w+)"\} (\S+)$', re.MULTILINE
)
_WAITING = re.compile(r'^triptych_residency_waiting\{component="([^".]+)\.[^"]+"\} ([1-9]\S*)$', re.MULTILINE)


async def post(stack: RunningStack, model: str) -> httpx.Response:
    """The same request whenever it is sent."""
    route, fields = ROUTES[model]
    body = {"model": model, **_SAME, **fields}
    async with httpx.AsyncClient(base_url=stack.url, timeout=600) as http:
        if model == FLUX:
            form = {name: str(value) for name, value in body.items()}
            return await http.post(route, data=form, files={"image": ("hat.png", picture(64, 64))})
        return await http.post(route, json=body)


async def draw(stack: RunningStack, model: str) -> Any:
    """The answer's pictures."""
    answer = await post(stack, model)
    assert answer.status_code == 200, answer.text[:500]
    return answer.json()["data"]


async def told(stack: RunningStack, key: str) -> dict[str, Any]:
    """What the list of models says of each small one."""
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as http:
        listed = (await http.get("/v1/models")).json()["data"]
    return {model["id"]: model[key] for model in listed if model["id"] in SMALL}


@dataclass(frozen=True)
class Look:
    """The page of metrics at one moment, and the bytes that the processes of components had of their own then."""

    page: str
    taken: int

    def of(self, name: str) -> int:
        """One of the numbers about memory."""
        return int(sample(self.page, f"triptych_residency_{name}"))

    @property
    def reserved(self) -> int:
        """By all that is not out of memory, on its way in and out included."""
        return sum(int(float(size)) for _, _, state, size in _COMPONENT.findall(self.page) if state != "unloaded")

    @property
    def whole(self) -> list[str]:
        """Models of which every component is in memory."""
        states = defaultdict(set)
        for model, _, state, _ in _COMPONENT.findall(self.page):
            states[model].add(state)
        return [model for model, found in states.items() if found == {"loaded"}]

    def parts(self, models: Collection[str]) -> int:
        """Components of these models."""
        return sum(model in models for model, *_ in _COMPONENT.findall(self.page))

    @property
    def waiting(self) -> set[str]:
        """Models that requests wait for."""
        return {model for model, _ in _WAITING.findall(self.page)}


async def look(stack: RunningStack) -> Look:
    return Look(await gateway_metrics(stack), await asyncio.to_thread(_taken, stack))


def _taken(stack: RunningStack) -> int:
    """Not by the parser of people, which is always there and not counted."""
    total = 0
    for process in psutil.Process(stack.state().triton_pid).children(recursive=True):
        try:
            command = " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
        if any(f"/{model}." in command for model in SMALL):
            total += own_bytes(process.pid) or 0
    return total


@asynccontextmanager
async def watched(stack: RunningStack) -> AsyncIterator[list[Look]]:
    """Memory is looked at all the time, and never is more of it taken or promised than there is."""
    looks: list[Look] = []

    async def watch() -> None:
        while True:
            looks.append(await look(stack))
            await asyncio.sleep(_LOOK_SECONDS)

    watcher = asyncio.create_task(watch())
    try:
        yield looks
    finally:
        watcher.cancel()
        await asyncio.wait([watcher])
    assert watcher.cancelled(), "nobody looked to the end"
    for each in looks:
        assert max(each.of("used_bytes"), each.reserved, each.taken) <= _BUDGET
        assert len(each.whole) <= 1
    assert any(each.taken for each in looks)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("swapper")
    _write_models(folder / "models")
    _publish_giant(folder / "models" / GIANT, folder / "runtime")
    environment = {
        "TRIPTYCH_MODELS__DIRECTORIES": json.dumps([str(folder / "models")]),
        "TRIPTYCH_BACKEND__RUNTIME": "torch",
        "TRIPTYCH_BACKEND__THREADS": "1",
        "TRIPTYCH_GENERATION__EMBEDDING_CACHE_BYTES": "0",
        "TRIPTYCH_RESIDENCY__BUDGET_BYTES": str(_BUDGET),
        "TRIPTYCH_RESIDENCY__WAIT_TIMEOUT": "600",
    }
    with start_stack(
        folder / "runtime", environment=environment, embedded=False, ready_seconds=_READY_SECONDS
    ) as running:
        yield running


def _write_models(folder: Path) -> None:
    write_tiny_qwen_image_layered(folder / LAYERED)
    write_tiny_flux2(folder / FLUX)
    write_tiny_catvton(folder / TRYON, blocks=FEW_BLOCKS)
    shutil.copytree(folder / LAYERED, folder / GIANT)
    shutil.copytree(embedded_models() / "wardrobe-parser", folder / "wardrobe-parser")


def _publish_giant(folder: Path, runtime: Path) -> None:
    """As the stack would, and makes its denoiser larger than any memory."""
    repository = runtime / REPOSITORY_FOLDER
    prepare_model(load_source(folder), runtime, repository, PublishOptions(runtime=Runtime.TORCH, threads=1))
    # Sparse: its size is there to be read, its bytes are not.
    with (version_folder(repository, GIANT, Component.DENOISER) / "ballast").open("wb") as ballast:
        ballast.truncate(_GIANT_BYTES)


@pytest.fixture(scope="module")
async def pictures(stack: RunningStack) -> dict[str, Any]:
    """What each model answers when it comes in for the first time, one after another."""
    answers = {}
    async with watched(stack):
        for model in SMALL:
            answers[model] = await _in_its_turn(stack, model)
    return answers


async def _in_its_turn(stack: RunningStack, model: str) -> Any:
    """Its answer, for which it came in and others left."""
    before = await look(stack)
    answer = await draw(stack, model)
    after = await look(stack)
    assert after.of("loads_total") - before.of("loads_total") == after.parts([model]), "each component came in once"
    left = after.of("unloads_total") - before.of("unloads_total")
    assert left > 0 if before.reserved else left < after.parts([model])
    return answer


@pytest.mark.timeout(1800)
async def test_one_after_another_and_back(stack: RunningStack, pictures: dict[str, Any]) -> None:
    assert len({json.dumps(answer) for answer in pictures.values()}) == len(SMALL)
    async with watched(stack):
        assert await _in_its_turn(stack, LAYERED) == pictures[LAYERED]
        there = await look(stack)
        assert await draw(stack, LAYERED) == pictures[LAYERED]
        after = await look(stack)
    assert after.of("loads_total") == there.of("loads_total"), "it was there"
    assert after.whole == [LAYERED]
    states, sizes = await told(stack, "state"), await told(stack, "bytes")
    assert [model for model, state in states.items() if state == "loaded"] == [LAYERED]
    assert all(sum(two) > _BUDGET for two in combinations(sizes.values(), 2)), "there was room for two"


@pytest.mark.timeout(1200)
async def test_requests_for_two_at_once_wait_for_each_other(stack: RunningStack, pictures: dict[str, Any]) -> None:
    before = await look(stack)
    async with watched(stack) as looks:
        answers = await asyncio.gather(draw(stack, FLUX), draw(stack, TRYON))
        after = await look(stack)
    assert list(answers) == [pictures[FLUX], pictures[TRYON]]
    assert any(each.waiting == {FLUX, TRYON} for each in looks)
    assert after.of("loads_total") - before.of("loads_total") <= after.parts([FLUX, TRYON]), "none came in twice"
    assert after.of("refused_total") == before.of("refused_total")


@pytest.mark.timeout(600)
async def test_what_is_larger_is_refused_and_nothing_leaves_for_it(
    stack: RunningStack, pictures: dict[str, Any]
) -> None:
    before = await look(stack)
    for _ in range(2):
        refused = await post(stack, GIANT)
        assert (refused.status_code, "retry-after" in refused.headers) == (507, False), refused.text
        error = error_of(refused)
        assert (error["code"], error["type"]) == ("insufficient_memory", "server_error")
        says = rf"giant\.denoiser needs \d{{13}} bytes of memory and the budget is {_BUDGET} bytes"
        assert re.fullmatch(says, error["message"])
    after = await look(stack)
    assert after.of("refused_total") == before.of("refused_total") + 2
    for total in ("loads_total", "unloads_total"):
        assert after.of(total) == before.of(total)
    assert after.reserved == before.reserved > 0
