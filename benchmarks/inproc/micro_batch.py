"""Dynamic batching for the stateless components, so that the direct engine is a strong yardstick."""

import queue
import threading
from concurrent.futures import Future

import numpy as np

from engine.components import run_batch
from engine.runtimes import Runtime
from families.tensors import Array

_STOP = None


class MicroBatcher:
    """One thread owns the runtime and takes whatever waits, up to `max_batch` rows at once."""

    def __init__(self, runtime: Runtime, max_batch: int) -> None:
        self._runtime = runtime
        self._max_batch = max_batch
        self._queue: queue.SimpleQueue[tuple[Array, Future[Array]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def run(self, row: Array) -> Array:
        """`row` is [1, ...]; its output alike. Blocks; raises what the runtime raises."""
        answer: Future[Array] = Future()
        self._queue.put((row, answer))
        return answer.result()

    def close(self) -> None:
        """End the thread after what waits."""
        self._queue.put(_STOP)
        self._thread.join()

    def _loop(self) -> None:
        while (first := self._queue.get()) is not _STOP:
            batch = [first]
            while len(batch) < self._max_batch and not self._queue.empty():
                following = self._queue.get()
                if following is _STOP:
                    self._queue.put(_STOP)
                    break
                batch.append(following)
            self._answer(batch)

    def _answer(self, batch: list[tuple[Array, Future[Array]]]) -> None:
        try:
            rows = np.concatenate([row for row, _ in batch])
            (outputs,) = run_batch(self._runtime, [rows], max_batch=self._max_batch)
        except Exception as error:
            for _, answer in batch:
                answer.set_exception(error)
            return
        for index, (_, answer) in enumerate(batch):
            answer.set_result(outputs[index : index + 1])
