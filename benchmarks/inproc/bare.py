"""The diffusers pipeline in a loop: what a script gets, with no server around it. One user only."""

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.inproc.job import CountingDrawer, run
from benchmarks.peers.pipeline import Pipeline
from benchmarks.peers.wire import encode
from benchmarks.workload import PictureRequest, Workload


class BareDrawer(CountingDrawer):
    """Calls the pipeline on the calling thread."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def draw(self, request: PictureRequest) -> None:
        """Blocks, as a loop in a script does."""
        encode(self._pipeline.draw([request])[0])


@contextmanager
def open_drawer(workload: Workload) -> Iterator[BareDrawer]:
    """Load the model."""
    yield BareDrawer(Pipeline(workload.model_folder))


if __name__ == "__main__":
    run(open_drawer)
