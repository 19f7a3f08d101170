"""`triptych download`, as a user calls it."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.download.conftest import NAME, safetensors, toy_files
from tests.download.hub import COMMIT, Hub, Repository
from triptych.cli import app

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
TAKEN = sorted(set(toy_files()) - {".gitattributes", "train.py", "unet/diffusion_pytorch_model.bin"})
REGISTRY = f"""
models:
  - alias: toy
    family: stable-diffusion
    licence: CC BY-NC 4.0
    commercial_use: false
    repository: {NAME}
    files: [model_index.json, "unet/*.safetensors", "transformer/*.safetensors"]
    patterns: [toy]
  - {{alias: ours, family: stable-diffusion, licence: MIT, commercial_use: true, embedded: wardrobe}}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["download", *arguments])


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_repository_into_storage(place: Path, hub: Hub) -> None:
    result = run(NAME)
    assert result.exit_code == 0, result.output
    folder = place / "storage" / "toy-model"
    assert files_in(folder) == TAKEN
    assert {name: (folder / name).read_bytes() for name in TAKEN} == {name: toy_files()[name] for name in TAKEN}
    assert f"at commit {COMMIT[:12]}: {len(TAKEN)} files" in result.output
    assert "left out unet/diffusion_pytorch_model.bin: pickle format" in result.output
    assert f"{WEIGHTS} downloaded, sha256 checked" in result.output
    assert "already here" in run(NAME).output


def test_an_alias_is_found_by_the_registry_afterwards(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "registry.yaml").write_text(REGISTRY)
    monkeypatch.setenv("TRIPTYCH_REGISTRY__FILE", "registry.yaml")
    result = run("toy")
    assert result.exit_code == 0, result.output
    assert "licence: CC BY-NC 4.0; not for commercial use" in result.output
    assert files_in(place / "storage" / "toy") == ["model_index.json", WEIGHTS]
    resolved = CliRunner().invoke(app, ["models", "resolve", "toy"])
    assert resolved.exit_code == 0, resolved.output
    assert "storage/toy" in resolved.output


def test_some_files_into_a_folder(place: Path) -> None:
    result = run(NAME, "--file", "unet/*.json", "--file", "tokenizer/*", "--to", "here", "--revision", "refs/pr/1")
    assert result.exit_code == 0, result.output
    assert files_in(place / "here") == ["tokenizer/empty.json", "tokenizer/merges.txt", "unet/config.json"]


def test_a_gated_model_with_its_token(place: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories[NAME].token = "hf_secret"
    result = run(NAME)
    assert result.exit_code == 2
    assert "accept the terms on the model's page" in result.output and "HF_TOKEN" in result.output
    monkeypatch.setenv("OTHER_TOKEN", "hf_secret")
    result = run(NAME, "--token-env", "OTHER_TOKEN")
    assert result.exit_code == 0, result.output
    assert "hf_secret" not in result.output
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    result = run(NAME)
    assert result.exit_code == 2
    assert "(403)" in result.output and "hf_" not in result.output


def test_a_gated_model_that_anyone_may_list_leaves_no_empty_folder(place: Path, hub: Hub) -> None:
    hub.repositories[NAME].token, hub.repositories[NAME].listed = "hf_secret", True
    (place / "storage").mkdir()
    result = run(NAME)
    assert result.exit_code == 2
    assert f"{NAME}, LICENSE.md: access is granted on request" in result.output
    assert list((place / "storage").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nobody/nothing",), "nobody/nothing at main: there is no such repository, or it needs a token"),
        ((NAME, "--revision", "v9"), f"{NAME} at v9: there is no such branch, tag or commit (404)"),
        ((NAME, "--file", "*.gguf"), f"no file of {NAME} matches '*.gguf'; it holds .gitattributes, LICENSE.md"),
        ((NAME, "--file", "unet/diffusion_pytorch_model.bin"), "pickle format"),
        (("nope",), "unknown alias 'nope'; known aliases: wardrobe, wardrobe-tryon, wardrobe-layers, sd15"),
        (("wardrobe",), "wardrobe has no repository to download"),
        (("a/b/c",), "'a/b/c' is no repository; write <owner>/<name>, or an alias"),
        (("../x",), "'../x' is no repository"),
        ((NAME, "--token-env", "hf_secret"), "never the token itself"),
        ((NAME, "--endpoint", "elsewhere"), "the endpoint must be an address"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(place: Path, arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert "Traceback" not in result.output and "hf_secret" not in result.output
    assert list(place.iterdir()) == []


def test_a_hostile_listing_leaves_nothing(place: Path, hub: Hub) -> None:
    hub.behaviour.tree = [{"type": "file", "path": "../../evil.json", "oid": "0" * 40, "size": 1}]
    result = run(NAME)
    assert result.exit_code == 2
    assert "unsafe name" in result.output
    assert list(place.iterdir()) == []


def test_a_disk_without_space_is_said_before_anything_comes(place: Path, hub: Hub) -> None:
    entry = {
        "type": "file",
        "path": "a.safetensors",
        "oid": "0" * 40,
        "size": 1,
        "lfs": {"oid": "0" * 64, "size": 1 << 60},
    }
    hub.behaviour.tree = [entry]
    result = run(NAME)
    assert result.exit_code == 2
    assert f"storage/toy-model: {1 << 60} bytes are needed and" in result.output
    assert list(place.iterdir()) == []


def test_a_second_download_into_the_folder_is_refused(place: Path, hub: Hub) -> None:
    hub.behaviour.stops[WEIGHTS] = 300_000
    first = _start(place, NAME)
    _wait_for_bytes(place, 300_000)
    result = run(NAME)
    assert result.exit_code == 2
    assert "another download into this folder is under way" in result.output
    hub.behaviour.go_on.set()
    assert first.wait(60) == 0, first.communicate()
    assert files_in(place / "storage" / "toy-model") == TAKEN


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_download_goes_on(place: Path, hub: Hub, number: signal.Signals) -> None:
    hub.behaviour.stops[WEIGHTS] = 300_000
    process = _start(place, NAME)
    partial = _wait_for_bytes(place, 300_000)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert not (place / "storage" / "toy-model" / WEIGHTS).exists()
    if number is signal.SIGINT:
        assert process.returncode == 130
        assert "interrupted; run the same command again" in errors
    kept = partial.stat().st_size
    result = run(NAME)
    assert result.exit_code == 0, result.output
    assert hub.requests("cdn")[-1].range == f"bytes={kept}-"
    assert (place / "storage" / "toy-model" / WEIGHTS).read_bytes() == toy_files()[WEIGHTS]
    assert files_in(place / "storage" / "toy-model") == TAKEN


_ON_A_SMALL_DISK = """
mount -t tmpfs -o size=4m tmpfs disk || exit 99
"$0" -m triptych download {name} --to disk/model --file '*.safetensors' & pid=$!
until [ -s "$(ls disk/model/.partial/*.part 2>/dev/null)" ]; do sleep 0.02; done
dd if=/dev/zero of=disk/filler bs=64k 2>/dev/null
touch filled
wait $pid; echo first: $?
rm disk/filler
"$0" -m triptych download {name} --to disk/model --file '*.safetensors'; echo second: $?
cp -r disk/model result
"""


def test_a_disk_that_fills_up_meanwhile(place: Path, hub: Hub) -> None:
    """On a real file system of 4 MiB, which somebody else fills while we write."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("mounting needs root and unshare")
    hub.repositories[NAME] = Repository({"model.safetensors": safetensors(3 << 20)})
    hub.behaviour.stops["model.safetensors"] = 500_000
    (place / "disk").mkdir()
    command = ["unshare", "--mount", "sh", "-c", _ON_A_SMALL_DISK.format(name=NAME), sys.executable]
    process = subprocess.Popen(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment()
    )
    limit = time.monotonic() + 60
    while not (place / "filled").exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.02)
    hub.behaviour.go_on.set()
    output, _ = process.communicate(timeout=60)
    if process.returncode == 99:
        pytest.skip(f"this machine does not let us mount: {output}")
    assert "disk/model: the disk is full; " in output and "of model.safetensors are kept" in output, output
    assert "Traceback" not in output
    assert "first: 2" in output and "second: 0" in output, output
    assert hub.requests("cdn")[-1].range is not None
    assert (place / "result" / "model.safetensors").read_bytes() == safetensors(3 << 20)


def _start(place: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "triptych", "download", *arguments]
    # A process that a shell started in the background, and all below it, would ignore an interrupt.
    default = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=place, stdout=pipe, stderr=pipe, text=True, env=_environment(), preexec_fn=default
    )


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def _wait_for_bytes(place: Path, count: int) -> Path:
    """Until so many bytes of one file came; its partial file."""
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        for path in place.glob("storage/toy-model/.partial/*.part"):
            # What the last read has not filled up is still on its way through our buffers.
            if path.stat().st_size > count - (1 << 17):
                return path
        time.sleep(0.01)
    raise AssertionError("nothing came")
