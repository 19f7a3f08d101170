"""The embedding cache: bounded, shared, and never poisoned by a failure."""

import asyncio

import numpy as np
import pytest

from families.tensors import NamedTensor
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.domain.backend import Release, Tokens
from gateway.domain.errors import BackendUnavailable
from gateway.pipelines.embedding_cache import EmbeddingCache
from tests.gateway.fake_backend import WIDTH, FakeBackend

LENGTH = 16
M = Release("m", "1")
ROW_BYTES = LENGTH * WIDTH * 4


def prompts(*numbers: int) -> list[Tokens]:
    return [(NamedTensor("input_ids", np.full((1, LENGTH), number, dtype=np.int64)),) for number in numbers]


def batch(*numbers: int) -> Tokens:
    return (NamedTensor("input_ids", np.concatenate([prompt[0].array for prompt in prompts(*numbers)])),)


def make(backend: FakeBackend, rows: int = 100) -> EmbeddingCache:
    return EmbeddingCache(backend, rows * ROW_BYTES, PrometheusTelemetry())


async def test_rows_are_those_of_the_encoder_in_order() -> None:
    backend = FakeBackend()
    cache = make(backend)
    (expected,) = await backend.encode_text(M, batch(1, 2, 1), deterministic=False)
    for _ in range(2):
        (conditions,) = await cache.conditions(M, prompts(1, 2, 1), deterministic=False)
        assert conditions.name == "context"
        assert (conditions.array == expected.array).all()
    assert backend.encoded == [3, 2]


async def test_the_key_is_release_prompt_and_determinism() -> None:
    backend = FakeBackend()
    cache = make(backend)
    other, next_release = Release("other", "1"), Release("m", "2")
    for release, deterministic in ((M, False), (M, True), (other, False), (next_release, False), (M, False)):
        await cache.conditions(release, prompts(1), deterministic=deterministic)
    assert backend.encoded == [1, 1, 1, 1]


async def test_the_least_recently_used_row_goes_first() -> None:
    backend = FakeBackend()
    cache = make(backend, rows=2)
    for number in (1, 2, 1, 3, 1, 2):
        await cache.conditions(M, prompts(number), deterministic=False)
    assert len(backend.encoded) == 4


async def test_without_room_it_still_works() -> None:
    backend = FakeBackend()
    cache = make(backend, rows=0)
    for _ in range(2):
        await cache.conditions(M, prompts(1, 2), deterministic=False)
    assert backend.encoded == [2, 2]


async def test_simultaneous_misses_share_one_encode_and_survive_a_cancelled_first() -> None:
    backend = FakeBackend(encode_seconds=0.05)
    cache = make(backend)
    waiting = [asyncio.ensure_future(cache.conditions(M, prompts(1, 2), deterministic=False)) for _ in range(5)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    results = await asyncio.gather(*waiting[1:])
    assert backend.encoded == [2]
    assert all((result[0].array == results[0][0].array).all() for result in results)


async def test_a_failure_reaches_all_who_wait_and_is_forgotten() -> None:
    backend = FakeBackend(encode_seconds=0.01, fail_encode=BackendUnavailable("away"))
    cache = make(backend)
    waiting = [cache.conditions(M, prompts(1), deterministic=False) for _ in range(3)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [BackendUnavailable] * 3
    backend.fail_encode = None
    await cache.conditions(M, prompts(1), deterministic=False)


async def test_closing_ends_encodes_under_way() -> None:
    cache = make(FakeBackend(encode_seconds=30))
    waiting = asyncio.ensure_future(cache.conditions(M, prompts(1), deterministic=False))
    await asyncio.sleep(0.01)
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
