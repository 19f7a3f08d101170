"""What callers see of models that come and go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from families.manifest import Component
from gateway.app import create_app
from gateway.domain.residency import Unit
from gateway.pipelines.residency.backend import ResidentBackend
from gateway.pipelines.residency.footprints import FootprintFile
from gateway.pipelines.residency.manager import ResidencyManager
from gateway.pipelines.residency.options import ResidencyOptions
from gateway.settings import Scalar, Settings, SettingsError
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.fake_host import FakeHost
from tests.gateway.model_folder import write_model_folder
from tests.support.metrics import sample
from triptych.inference import open_inference
from triptych.on_demand import nvidia_gpu, on_demand

UNITS = tuple(Unit("wardrobe", component) for component in Component)
BODY = {"prompt": "a red dress", "num_inference_steps": 3}


@asynccontextmanager
async def gateway(
    folder: Path, host: FakeHost, options: ResidencyOptions, inner: FakeBackend | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    write_model_folder(folder / "models" / "wardrobe")
    settings = Settings.load(None, {"runtime_directory": str(folder / "runtime")})
    models = settings.models.model_copy(update={"directories": (folder / "models",)})
    settings = settings.model_copy(update={"models": models})
    manager = ResidencyManager(host, UNITS, options, FootprintFile(folder / "footprints.json", "test"))
    backend = ResidentBackend(inner or FakeBackend(step_seconds=0.02), host, manager)
    app = create_app(settings, backend)
    async with app.router.lifespan_context(app):
        await backend.open()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=20) as client:
            yield client


async def test_a_model_that_can_never_fit_is_a_507_in_the_envelope(tmp_path: Path) -> None:
    host = FakeHost(sizes={"wardrobe.denoiser": 5000})
    async with gateway(tmp_path, host, ResidencyOptions(budget_bytes=1000)) as client:
        answer = await client.post("/v1/images/generations", json=BODY)
        assert answer.status_code == 507
        error = answer.json()["error"]
        assert (error["code"], error["type"]) == ("insufficient_memory", "server_error")
        assert error["message"] == "wardrobe.denoiser needs 5000 bytes of memory and the budget is 1000 bytes"
        assert "retry-after" not in answer.headers
        page = (await client.get("/metrics")).text
        assert sample(page, "triptych_residency_refused_total") == 1
        assert sample(page, "triptych_residency_budget_bytes") == 1000
    assert host.done == []


async def test_a_model_that_waits_too_long_is_a_503_with_advice(tmp_path: Path) -> None:
    options = ResidencyOptions(budget_bytes=12, wait_seconds=0.15)
    inner = FakeBackend(step_seconds=0.1)
    async with gateway(tmp_path, FakeHost(), options, inner) as client:
        first = asyncio.ensure_future(client.post("/v1/images/generations", json=BODY | {"num_inference_steps": 40}))
        async with asyncio.timeout(20):
            while not inner.jobs:  # noqa: ASYNC110 - a step is short
                await asyncio.sleep(0.005)
        second = await client.post("/v1/images/generations", json=BODY | {"prompt": "a blue dress"})
        assert second.status_code == 503 and second.json()["error"]["code"] == "memory_busy"
        assert int(second.headers["retry-after"]) >= 1
        inner.step_seconds = 0
        assert (await first).status_code == 200


async def test_the_list_of_models_tells_what_is_in_memory(tmp_path: Path) -> None:
    async with gateway(tmp_path, FakeHost(), ResidencyOptions(budget_bytes=1000)) as client:

        async def state() -> tuple[str, int]:
            (model,) = (await client.get("/v1/models")).json()["data"]
            assert model == (await client.get("/v1/models/wardrobe")).json()
            return model["state"], model["bytes"]

        assert await state() == ("unloaded", 40)
        for prompt in ("a red top", "a blue top"):  # the first time each component comes in alone
            answer = await client.post("/v1/images/generations", json=BODY | {"prompt": prompt})
            assert answer.status_code == 200
        assert await state() == ("partly_loaded", 40), "nobody asked for the picture encoder"
        page = (await client.get("/metrics")).text
        assert sample(page, "triptych_residency_used_bytes") == 30
        assert sample(page, "triptych_residency_loads_total") == 5
        assert 'triptych_residency_component_bytes{component="wardrobe.denoiser",state="loaded"} 10.0' in page


@pytest.mark.parametrize(
    ("device", "runtime", "gpu"),
    [("cpu", "torch", None), ("cuda", "torch", 0), ("cuda:1", "onnxruntime", 1), ("auto", "torch", 2)],
)
def test_memory_is_that_of_the_device_that_torch_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, runtime: str, gpu: int | None
) -> None:
    monkeypatch.setattr("engine.hardware.policy.pick_device", lambda _: "cuda:2")
    asked: dict[str, Scalar] = {"hardware.device": device, "backend.kind": "inprocess", "backend.runtime": runtime}
    assert nvidia_gpu(Settings.load(None, asked | {"runtime_directory": str(tmp_path)})) == gpu


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("residency: {pinned: [wardrobe]}")
    with pytest.raises(SettingsError, match=r"pinned models need budget_bytes or auto_unload_timeout"):
        Settings.load(tmp_path / "settings.yaml")
    (tmp_path / "settings.yaml").write_text("residency: {host_budget_bytes: 10}")
    with pytest.raises(SettingsError, match=r"host_budget_bytes needs budget_bytes or auto_unload_timeout"):
        Settings.load(tmp_path / "settings.yaml")
    base: dict[str, Scalar] = {"runtime_directory": str(tmp_path), "residency.budget_bytes": 5}
    pinned = Settings.load(None, base)
    pinned = pinned.model_copy(update={"residency": pinned.residency.model_copy(update={"pinned": ("nonesuch",)})})
    with pytest.raises(SettingsError, match=r"residency.pinned: no model is called nonesuch; served are wardrobe"):
        on_demand(pinned, FakeBackend(), FakeHost(), UNITS)
    with pytest.raises(SettingsError, match=r"a Triton that somebody else runs"):
        open_inference(Settings.load(None, base | {"backend.triton_url": "triton:8001"}), {})
