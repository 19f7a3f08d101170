"""One whole stack on real Triton for the session, and the official client in front of it."""

from collections.abc import AsyncIterator, Iterator

import openai
import pytest

from tests.support.stack import RunningStack, start_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """`triptych serve` with the embedded model on real Triton."""
    with start_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def client(stack: RunningStack) -> openai.OpenAI:
    """The official synchronous client."""
    return openai.OpenAI(base_url=f"{stack.url}/v1", api_key="unused", max_retries=0, timeout=120)


@pytest.fixture()
async def async_client(stack: RunningStack) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official asynchronous client."""
    async with openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key="unused", max_retries=0, timeout=120) as client:
        yield client
