"""One gateway with a layered model for the tests that only ask."""

from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.layers.separator import LayeredBackend, separator
from tests.gateway.server import RunningGateway


@pytest.fixture(scope="session")
def shared_separator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with separator(tmp_path_factory.mktemp("separator")) as running:
        yield running


@pytest.fixture()
def backend(shared_separator: RunningGateway) -> LayeredBackend:
    """The shared one's as new."""
    shared_separator.backend.__dict__.update(LayeredBackend().__dict__)
    assert isinstance(shared_separator.backend, LayeredBackend)
    return shared_separator.backend


@pytest.fixture()
def http(shared_separator: RunningGateway, backend: LayeredBackend) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shared_separator.url, timeout=30) as client:
        yield client
