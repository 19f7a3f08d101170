"""A request-level batching server: LitServe's dynamic batching around a pipeline.

A pipeline call has one step count, guidance and size, so a batch is split into groups that agree on those; the shortest
group runs first. LitServe answers a batch as a whole.
"""

import argparse
import time
from collections.abc import Hashable, Sequence
from pathlib import Path

import litserve

from benchmarks.client import ROUTE
from benchmarks.peers.wire import GeneratedImage, GenerationAnswer, GenerationBody, encode
from benchmarks.workload import PictureRequest

MAX_BATCH = 8
BATCH_TIMEOUT_S = 0.02


class DiffusersApi(litserve.LitAPI):  # type: ignore[misc]  # litserve ships no types
    """Batches whatever has arrived within the timeout."""

    def __init__(self, folder: Path) -> None:
        super().__init__(max_batch_size=MAX_BATCH, batch_timeout=BATCH_TIMEOUT_S, api_path=ROUTE)
        self._folder = folder

    def setup(self, device: str) -> None:
        """Load the model. Torch is imported here, so only the worker process pays its memory."""
        from benchmarks.peers.pipeline import Pipeline  # noqa: PLC0415

        self._pipeline = Pipeline(self._folder)

    def decode_request(self, request: dict[str, object]) -> PictureRequest:
        """JSON to a request."""
        return GenerationBody.model_validate(request).request()

    def batch(self, inputs: Sequence[PictureRequest]) -> list[PictureRequest]:
        """Requests stay a list."""
        return list(inputs)

    def predict(self, batch: Sequence[PictureRequest]) -> list[str]:
        """A picture for every request, in the batch's order."""
        pictures: dict[int, str] = {}
        for group in groups(batch):
            images = self._pipeline.draw([batch[index] for index in group])
            pictures.update({index: encode(image) for index, image in zip(group, images, strict=True)})
        return [pictures[index] for index in range(len(batch))]

    def unbatch(self, output: list[str]) -> list[str]:
        """One output for every request."""
        return output

    def encode_response(self, output: str) -> dict[str, object]:
        """OpenAI's shape."""
        return GenerationAnswer(created=int(time.time()), data=[GeneratedImage(b64_json=output)]).model_dump()


def groups(batch: Sequence[PictureRequest]) -> list[list[int]]:
    """Indices of requests that can share one pipeline call, fewest steps first."""
    found: dict[Hashable, list[int]] = {}
    for index, request in enumerate(batch):
        key = (request.steps, request.guidance_scale, request.scheduler, request.width, request.height)
        found.setdefault(key, []).append(index)
    return sorted(found.values(), key=lambda group: batch[group[0]].steps)


def main() -> None:
    """Serve one model folder on the loopback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    server = litserve.LitServer(
        DiffusersApi(arguments.model),
        accelerator="auto",
        devices=1,
        timeout=False,
        healthcheck_path="/readyz",
        info_path="/livez",
    )
    server.run(
        host="127.0.0.1", port=arguments.port, num_api_servers=1, log_level="warning", generate_client_file=False
    )


if __name__ == "__main__":
    main()
