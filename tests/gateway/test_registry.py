"""`GET /v1/registry`."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from families.registry import RegistryError
from gateway.app import create_app
from gateway.settings import Settings
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.model_folder import write_model_folder
from tests.gateway.server import serve

REGISTRY = """
models:
  - {alias: toy, family: stable-diffusion, licence: MIT, commercial_use: true, patterns: [toy]}
  - {alias: gone, family: flux2, licence: NC, commercial_use: false, patterns: [gone*]}
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """Two aliases, one of them there, in roots relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    write_model_folder(tmp_path / "manual_downloads" / "toy")
    with (
        serve(tmp_path, {"registry.file": "registry.yaml"}) as running,
        httpx.Client(base_url=running.url, timeout=20) as client,
    ):
        yield client


def test_everything_at_once_and_at_once(registry: httpx.Client) -> None:
    started = time.perf_counter()
    answer = registry.get("/v1/registry")
    seconds = time.perf_counter() - started
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [model["alias"] for model in body["data"]] == ["toy", "gone"]
    assert [model["status"] for model in body["data"]] == ["found", "missing"]
    assert seconds < 3  # 30 ms on an idle core; others may be using the machine
    system = body["system"]
    assert system["cpus"] >= 1 and system["memory_bytes"] > 2**28
    assert system["python"].startswith("3.") and system["triptych"] != "unknown"
    assert {"name": "numpy", "version": __import__("numpy").__version__} in system["libraries"]


def test_one_alias_with_its_hash_in_the_end(registry: httpx.Client, tmp_path: Path) -> None:
    limit = time.monotonic() + 10
    while True:
        [model] = registry.get("/v1/registry", params={"alias": "toy"}).json()["data"]
        if model["digest"]["state"] != "pending" or time.monotonic() > limit:
            break
        time.sleep(0.01)
    assert model["digest"]["state"] == "done" and len(model["digest"]["sha256"]) == 64
    assert model["path"] == "manual_downloads/toy"
    assert model["origin"] == {
        "kind": "root",
        "variable": None,
        "root": "manual_downloads",
        "pattern": "toy",
    }
    assert (model["family"], model["format"], model["licence"]) == ("stable-diffusion", "diffusers", "MIT")
    # Relative roots stay relative: where the server lives is nobody's business.
    assert str(tmp_path) not in registry.get("/v1/registry").text
    assert (tmp_path / "runtime" / "registry" / "hashes.json").exists()


def test_an_unknown_alias_lists_the_known_ones(registry: httpx.Client) -> None:
    answer = registry.get("/v1/registry", params={"alias": "nope"})
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": "unknown alias 'nope'; known aliases: toy, gone",
        "type": "invalid_request_error",
        "code": "model_not_found",
        "param": "alias",
    }


def test_what_appears_while_serving_is_found(registry: httpx.Client, tmp_path: Path) -> None:
    assert registry.get("/v1/registry", params={"alias": "gone"}).json()["data"][0]["status"] == "missing"
    write_model_folder(tmp_path / "storage" / "gone-no-more")
    [model] = registry.get("/v1/registry", params={"alias": "gone"}).json()["data"]
    assert model["status"] == "found"
    assert model["problems"][-1] == "declared as flux2, but the content is stable-diffusion"


def test_a_broken_registry_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_text("models: [{alias: toy}]")
    settings = Settings.load(None, {"registry.file": str(tmp_path / "registry.yaml")})
    with pytest.raises(RegistryError, match=r"registry\.yaml: models\.0\.licence: Field required"):
        create_app(settings, FakeBackend())
