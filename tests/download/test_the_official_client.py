"""The hub of these tests is like the real one: the official client works with it, and gets what ours gets."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.download.conftest import NAME, toy_files
from tests.download.hub import COMMIT, Hub
from triptych.download.hub import Hub as Client
from triptych.download.patience import Patience

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def test_the_hub_is_like_the_real_one(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    # Whatever endpoint it is given, the client asks the real hub for a list of agents, of which it may be one.
    monkeypatch.setattr("huggingface_hub.utils._detect_agent._fetch_registry", lambda: None)
    hub.repositories[NAME].token = "hf_secret"
    api = huggingface_hub.HfApi(endpoint=hub.url, token="hf_secret")
    assert api.model_info(NAME, revision="main").sha == COMMIT
    hub.behaviour.page_size = 4
    theirs = {
        entry.path: (entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id)
        for entry in api.list_repo_tree(NAME, recursive=True, revision=COMMIT)
        if hasattr(entry, "blob_id")
    }
    with Client(hub.url, SecretStr("hf_secret"), Patience()) as client:
        snapshot = client.snapshot(NAME, "main")
    assert {file.path: (file.size, file.digest) for file in snapshot.files} == theirs
    for path in (WEIGHTS, "unet/config.json"):
        got = api.hf_hub_download(NAME, path, revision="main", local_dir=tmp_path)
        assert Path(got).read_bytes() == toy_files()[path]
