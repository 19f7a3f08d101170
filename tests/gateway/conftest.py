"""One gateway for the tests that only look; tests which break things start their own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.gateway.fake_backend import FakeBackend
from tests.gateway.server import RunningGateway, serve
from tests.support.postgresql import running_postgresql


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with serve(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture()
def gateway(shared_gateway: RunningGateway) -> RunningGateway:
    """The shared one with its fake as new."""
    shared_gateway.backend.__dict__.update(FakeBackend().__dict__)
    return shared_gateway


@pytest.fixture()
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=20) as client:
        yield client


@pytest.fixture()
def client(gateway: RunningGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture()
async def async_client(gateway: RunningGateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real one, started when a test first asks for it."""
    with running_postgresql() as url:
        yield url
