"""Prompt embeddings, kept by release, tokens, LoRA: a repeated prompt, or the empty negative one, is encoded once."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from families.tensors import NamedTensor
from gateway.domain.backend import InferenceBackend, Lora, Release, Tokens
from gateway.domain.telemetry import Telemetry

Row = tuple[NamedTensor, ...]
"""One prompt's conditions, each [1, ...]."""


@dataclass(frozen=True, slots=True)
class _Key:
    release: Release
    tokens: tuple[bytes, ...]
    deterministic: bool
    loras: tuple[Lora, ...]


class EmbeddingCache:
    """Least recently used rows up to a number of bytes; simultaneous misses of one prompt share one encode."""

    def __init__(self, backend: InferenceBackend, capacity_bytes: int, telemetry: Telemetry) -> None:
        """`capacity_bytes` 0 keeps nothing and still shares encodes under way."""
        self._backend = backend
        self._capacity = capacity_bytes
        self._telemetry = telemetry
        self._rows: OrderedDict[_Key, Row] = OrderedDict()
        self._bytes = 0
        self._pending: dict[_Key, asyncio.Future[Row]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def conditions(
        self, release: Release, prompts: Sequence[Tokens], *, deterministic: bool, loras: tuple[Lora, ...] = ()
    ) -> tuple[NamedTensor, ...]:
        """The conditions of `prompts` in order, one row a prompt; what is missing goes as one batch.

        `loras` are those that change the text encoder.
        """
        keys = [
            _Key(release, tuple(part.array.tobytes() for part in prompt), deterministic, loras) for prompt in prompts
        ]
        found: dict[_Key, Row] = {}
        missing: dict[_Key, int] = {}
        for position, key in enumerate(keys):
            row = self._rows.get(key)
            self._telemetry.embedding_lookup(hit=row is not None)
            if row is not None:
                self._rows.move_to_end(key)
                found[key] = row
            elif key not in self._pending:
                missing.setdefault(key, position)
        if missing:
            self._start(tuple(missing), _stack([prompts[position] for position in missing.values()]))
        waited = {key: self._pending[key] for key in keys if key not in found}
        for key, future in waited.items():
            # The encode serves whoever else waits for it: one caller's cancellation must not end it.
            found[key] = await asyncio.shield(future)
        return _stack([found[key] for key in keys])

    async def close(self) -> None:
        """Stop encodes under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, keys: tuple[_Key, ...], tokens: Tokens) -> None:
        loop = asyncio.get_running_loop()
        for key in keys:
            future: asyncio.Future[Row] = loop.create_future()
            # Every waiter may be gone by the time it fails; the failure is then nobody's.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._pending[key] = future
        task = asyncio.create_task(self._encode(keys, tokens))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _encode(self, keys: tuple[_Key, ...], tokens: Tokens) -> None:
        try:
            tensors = await self._backend.encode_text(
                keys[0].release, tokens, deterministic=keys[0].deterministic, loras=keys[0].loras
            )
        except BaseException as error:
            for key in keys:
                future = self._pending.pop(key)
                if isinstance(error, asyncio.CancelledError):
                    future.cancel()
                else:
                    future.set_exception(error)
            if isinstance(error, Exception):
                return
            raise
        for position, key in enumerate(keys):
            # Copied, so that a kept row does not keep its whole batch alive.
            row = tuple(NamedTensor(tensor.name, tensor.array[position : position + 1].copy()) for tensor in tensors)
            self._pending.pop(key).set_result(row)
            self._keep(key, row)

    def _keep(self, key: _Key, row: Row) -> None:
        self._rows[key] = row
        self._bytes += _size(row)
        while self._bytes > self._capacity and self._rows:
            _, evicted = self._rows.popitem(last=False)
            self._bytes -= _size(evicted)


def _size(row: Row) -> int:
    return sum(tensor.array.nbytes for tensor in row)


def _stack(rows: Sequence[Row]) -> tuple[NamedTensor, ...]:
    return tuple(
        NamedTensor(same[0].name, np.concatenate([tensor.array for tensor in same])) for same in zip(*rows, strict=True)
    )
