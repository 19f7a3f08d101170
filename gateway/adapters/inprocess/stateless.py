"""What answers once a call in this process."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from engine.components import run_batch
from engine.runtimes import Runtime
from families.lora.use import LoraUse
from families.tensors import Array


class Stateless:
    """A component without state between calls, on one thread: a runtime serves one at a time."""

    def __init__(self, runtime: Runtime, max_batch: int, name: str) -> None:
        """`max_batch` rows a call; `name` is the thread's."""
        self._runtime = runtime
        self._max_batch = max_batch
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(
        self, rows: Sequence[Array], *, deterministic: bool, loras: tuple[LoraUse, ...] = ()
    ) -> tuple[Array, ...]:
        """Outputs for `rows`, one array for each input; `loras` act on every row."""
        uses = [loras] * len(rows[0]) if loras else []

        def call() -> tuple[Array, ...]:
            return run_batch(self._runtime, rows, max_batch=self._max_batch, deterministic=deterministic, loras=uses)

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def close(self) -> None:
        """End what it is at; what waits is dropped."""
        self._thread.shutdown(wait=True, cancel_futures=True)
