"""One studio for the tests that only look."""

from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.gateway.api.studio import Studio, studio


@pytest.fixture(scope="session")
def shared_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with studio(tmp_path_factory.mktemp("studio")) as running:
        yield running


@pytest.fixture()
def tryon(shared_studio: Studio) -> Studio:
    """The shared one with its drawer as new."""
    shared_studio.world.drawer.step_seconds = 0.0
    shared_studio.world.drawer.fail = None
    return shared_studio


@pytest.fixture()
def http(tryon: Studio) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tryon.gateway.url, timeout=60) as client:
        yield client


@pytest.fixture()
def client(tryon: Studio) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{tryon.gateway.url}/v1", api_key="unused", max_retries=0, timeout=60) as client:
        yield client
