from __future__ import annotations

from pathlib import Path

import pytest

from triptych.triton import TritonRuntime, locate, prepare


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> TritonRuntime:
    return prepare(locate(), tmp_path_factory.mktemp("triton-cache"))


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "triton.log"
