"""A model that only a variable leads to, on a tree that cannot be written, draws under its alias."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from export.artefacts.artefact import RECORD_FILE
from families.embedded import embedded_models
from tests.support.stack import BUILT, build_models, start_stack

BODY = {
    "prompt": "a woman wearing a green dotted dress",
    "num_inference_steps": 4,
    "seed": 11,
    "response_format": "b64_json",
}
VARIABLE = "TRIPTYCH_MODEL_SD15"
_READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The embedded model's files in a folder that says nothing of what they are; nobody may write there."""
    folder = shutil.copytree(embedded_models() / "wardrobe", tmp_path / "mount" / "dress-up")
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A runtime directory where the model is compiled under its alias too: what was compiled has no name inside."""
    build_models()
    for record in (BUILT / "artefacts" / "wardrobe").glob(f"*/{RECORD_FILE}"):
        for name in ("wardrobe", "sd15"):
            shutil.copytree(record.parent, tmp_path / "runtime" / "artefacts" / name / record.parent.name)
    return tmp_path / "runtime"


def _mounted_read_only(folder: Path) -> Sequence[str]:
    """A command before the server's, where this machine lets us mount: permissions do not keep root from writing."""
    command = ["unshare", "--mount", "sh", "-c", _READ_ONLY, str(folder)]
    if shutil.which("unshare") is None or os.geteuid() != 0:
        return ()
    tried = subprocess.run([*command, "touch", str(folder / "x")], capture_output=True, text=True, check=False)
    return command if "Read-only file system" in tried.stderr else ()


@pytest.mark.parametrize("backend", ["inprocess", "triton"])
def test_it_draws_under_its_alias(backend: str, weights: Path, runtime: Path, tmp_path: Path) -> None:
    before = _listing(weights)
    environment = {VARIABLE: str(weights), "TRIPTYCH_MODELS__ALIASES": '["sd15"]'}
    beside = tmp_path / "beside"
    beside.mkdir()
    if backend == "inprocess":
        # On Triton alone: what lies beside it would take half of the start and says nothing new.
        shutil.copytree(embedded_models() / "wardrobe", beside / "wardrobe")
    environment["TRIPTYCH_MODELS__DIRECTORIES"] = json.dumps([str(beside)])
    within = _mounted_read_only(weights)
    with (
        start_stack(runtime, backend=backend, environment=environment, within=within) as stack,
        httpx.Client(base_url=stack.url, timeout=120) as http,
    ):
        served = [model["id"] for model in http.get("/v1/models").json()["data"]]
        assert served == (["sd15"] if backend == "triton" else ["sd15", "wardrobe"])
        pictures = []
        for name in served:
            answer = http.post("/v1/images/generations", json={**BODY, "model": name})
            assert answer.status_code == 200, answer.text
            pictures.append(Image.open(BytesIO(base64.b64decode(answer.json()["data"][0]["b64_json"]))).tobytes())
        # The same weights draw the same picture.
        assert len(set(pictures)) == 1 and len(set(pictures[0])) > 50
        [report] = http.get("/v1/registry", params={"alias": "sd15"}).json()["data"]
        assert (report["status"], report["path"], report["servable"]) == ("found", str(weights), True)
        assert (report["origin"]["kind"], report["origin"]["variable"]) == ("environment", VARIABLE)
    assert _listing(weights) == before


def test_one_that_is_named_and_not_there_stops_the_start(tmp_path: Path) -> None:
    environment = {VARIABLE: "/no/such/place", "TRIPTYCH_MODELS__ALIASES": '["sd15"]'}
    with (
        pytest.raises(AssertionError, match="alias sd15 cannot be served: TRIPTYCH_MODEL_SD15 names /no/such/place"),
        start_stack(tmp_path, backend="inprocess", environment=environment),
    ):
        pass


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and modification times, the folder's own included."""
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in (folder, *folder.rglob("*")))
