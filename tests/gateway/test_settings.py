"""Where settings come from, which source wins, and what a mistake says."""

from pathlib import Path

import pytest

from gateway.settings import Settings, SettingsError


@pytest.fixture()
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def test_defaults() -> None:
    settings = Settings.load()
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert settings.backend.kind == "triton"
    assert settings.images_directory == Path("runtime/images")


def test_precedence(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("server: {port: 1, host: from-file, drain_seconds: 5}\nruntime_directory: /somewhere\n")
    monkeypatch.setenv("TRIPTYCH_SERVER__PORT", "2")
    monkeypatch.setenv("TRIPTYCH_SERVER__HOST", "from-environment")
    settings = Settings.load(config, {"server.port": 3, "server.host": None, "runtime_directory": None})
    assert settings.server.port == 3
    assert settings.server.host == "from-environment"
    assert settings.server.drain_seconds == 5
    assert settings.server.max_body_bytes == 1024 * 1024
    assert settings.runtime_directory == Path("/somewhere")


def test_lists_and_secrets_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_MODELS__DIRECTORIES", '["/a", "/b"]')
    monkeypatch.setenv("TRIPTYCH_STORAGE__URL_SECRET", "s" * 32)
    settings = Settings.load()
    assert settings.models.directories == (Path("/a"), Path("/b"))
    assert "sss" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("server: {prot: 1}", "setting server.prot: unknown key"),
        ("sever: {port: 1}", "setting sever: unknown key"),
        ("server: {port: 99999}", "setting server.port: "),
        ("server: {public_url: images.example.org}", "setting server.public_url: "),
        ("backend: {kind: magic}", "setting backend.kind: Input should be 'triton' or 'inprocess'"),
        ("generation: {default_scheduler: magic}", "setting generation.default_scheduler: "),
        ("generation: {default_guidance_scale: .nan}", "setting generation.default_guidance_scale: "),
        ("storage: {url_secret: short}", "setting storage.url_secret: "),
        ("server: 5", "setting server: "),
        ("- a", "must be a mapping"),
        ("a: [", "config.yaml"),
    ],
)
def test_a_mistake_names_its_key(config: Path, text: str, says: str) -> None:
    config.write_text(text)
    with pytest.raises(SettingsError) as caught:
        Settings.load(config)
    assert says in str(caught.value)


def test_mistakes_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_SERVER__PROT", "1")
    with pytest.raises(SettingsError, match=r"setting server\.prot: unknown key"):
        Settings.load()
    monkeypatch.delenv("TRIPTYCH_SERVER__PROT")
    monkeypatch.setenv("TRIPTYCH_SEVER__PORT", "1")
    with pytest.raises(SettingsError, match="TRIPTYCH_SEVER__PORT: unknown section 'sever'"):
        Settings.load()


def test_a_missing_file_is_named(config: Path) -> None:
    with pytest.raises(SettingsError, match=r"config\.yaml"):
        Settings.load(config)


def test_an_empty_file_is_the_defaults(config: Path) -> None:
    config.write_text("# nothing yet\n")
    assert Settings.load(config) == Settings.load()
