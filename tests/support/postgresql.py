"""A real PostgreSQL for tests, from the wheel `pgserver`."""

import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def running_postgresql() -> Iterator[str]:
    """The URL of a new, empty one. Skips where there is none for this machine."""
    if platform.system() == "Windows":
        pytest.skip("the databases' files of earlier runs cannot be deleted there")
    pgserver = pytest.importorskip("pgserver", reason="needs the package pgserver")
    # Not in pytest's folder: its server is another user's where we are root, and pytest's is nobody's but ours.
    with tempfile.TemporaryDirectory() as folder, pgserver.get_server(Path(folder), cleanup_mode="stop") as server:
        yield str(server.get_uri())
