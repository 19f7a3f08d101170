"""Models that have an alias are served beside the folders: which ones, under what name, and what stops the start."""

import base64
import json
import logging
import shutil
from pathlib import Path

import httpx
import pytest

from families.registry import UnknownAlias, UnservableAlias
from gateway.adapters.registry import find_models
from gateway.app import create_app
from gateway.settings import Settings, SettingsError
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.model_folder import write_model_folder
from tests.gateway.server import serve

REGISTRY = """
models:
  - {alias: toy-v2, family: stable-diffusion, licence: MIT, commercial_use: true, patterns: [toys/two]}
  - {alias: wardrobe, family: stable-diffusion, licence: MIT, commercial_use: true, embedded: wardrobe}
  - {alias: later, family: flux1, licence: NC, commercial_use: false, patterns: [later]}
"""
VARIABLE = "TRIPTYCH_MODEL_TOY_V2"


def _write_whole_model(folder: Path) -> Path:
    """A model that could be loaded as far as anybody can tell who reads headers alone."""
    write_model_folder(folder)
    for part in ("unet", "vae", "text_encoder"):
        (folder / part / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a registry and, in `storage`, one model and one of a family not served yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIPTYCH_REGISTRY__FILE", "registry.yaml")
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    _write_whole_model(tmp_path / "storage" / "toys" / "two")
    later = write_model_folder(tmp_path / "storage" / "later")
    (later / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    return tmp_path


def _settings(*directories: Path) -> Settings:
    settings = Settings.load()
    return settings.model_copy(update={"models": settings.models.model_copy(update={"directories": directories})})


def test_an_alias_is_listed_beside_the_folders_and_draws(place: Path) -> None:
    with serve(place) as running, httpx.Client(base_url=running.url, timeout=20) as client:
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["toy-v2", "wardrobe"]
        body = {"prompt": "a red dress", "model": "toy-v2", "response_format": "b64_json"}
        answer = client.post("/v1/images/generations", json=body)
        assert answer.status_code == 200, answer.text
        assert base64.b64decode(answer.json()["data"][0]["b64_json"]).startswith(b"\x89PNG")
        assert running.backend.jobs[-1].release.model == "toy-v2"
        [report] = client.get("/v1/registry", params={"alias": "toy-v2"}).json()["data"]
        assert (report["path"], report["servable"]) == ("storage/toys/two", True)
        [report] = client.get("/v1/registry", params={"alias": "later"}).json()["data"]
        assert (report["status"], report["family"], report["servable"]) == ("found", "flux1", False)


def test_by_default_all_that_lead_somewhere(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = find_models(_settings())
    # Not the embedded one: folders are all that stand in for it.
    assert [(name, source.path) for name, source in found.items()] == [("toy-v2", Path("storage/toys/two"))]
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning.startswith("alias later cannot be served: storage/later: flux1 is recognised but not served yet")
    assert not (place / "runtime").exists(), "something was hashed or written"


def test_a_misspelt_variable_is_warned_of(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TRIPTYCH_MODEL_TOYV2", "/x")
    with caplog.at_level(logging.WARNING):
        find_models(_settings())
    assert f"environment variable TRIPTYCH_MODEL_TOYV2 belongs to no alias; known are {VARIABLE}" in caplog.text


def test_the_setting_chooses(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_MODELS__ALIASES", "[]")
    assert find_models(_settings()) == {}
    monkeypatch.setenv("TRIPTYCH_MODELS__ALIASES", '["wardrobe"]')
    assert list(find_models(_settings())) == ["wardrobe"]
    monkeypatch.setenv("TRIPTYCH_MODELS__ALIASES", '{"wardrobe": 1}')
    with pytest.raises(SettingsError, match=r"models\.aliases"):
        _settings()


@pytest.mark.parametrize(
    ("alias", "error", "reason"),
    [
        ("later", UnservableAlias, r"alias later cannot be served: storage/later: flux1 is recognised but not served"),
        (
            "toy-v2",
            UnservableAlias,
            r"alias toy-v2 cannot be served: TRIPTYCH_MODEL_TOY_V2 names /gone, which does not",
        ),
        ("toy", UnknownAlias, r"unknown alias 'toy'; known aliases: toy-v2, wardrobe, later"),
    ],
)
def test_one_that_is_named_and_cannot_be_served_stops_the_start(
    alias: str, error: type[Exception], reason: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_MODELS__ALIASES", json.dumps([alias]))
    monkeypatch.setenv(VARIABLE, "/gone")
    with pytest.raises(error, match=reason):
        create_app(_settings(), FakeBackend())


def test_an_alias_goes_before_a_folder_of_its_name(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = shutil.copytree(place / "storage" / "toys" / "two", place / "models" / "toy-v2")
    with caplog.at_level(logging.WARNING):
        assert find_models(_settings(place / "models"))["toy-v2"].path == Path("storage/toys/two")
    assert f"toy-v2 is storage/toys/two, by its alias, and not {folder}" in caplog.text


def test_an_alias_that_leads_to_the_folder_itself_is_no_clash(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(place / "storage" / "toys" / "two", place / "models" / "toy-v2")
    monkeypatch.setenv(VARIABLE, str(folder))
    with caplog.at_level(logging.WARNING):
        assert list(find_models(_settings(place / "models"))) == ["toy-v2"]
    assert "by its alias" not in caplog.text
