"""The facts of Triton's Python backend that the step engine's model is built on."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc.aio as grpcclient

from tests.triton.models import repository_with
from triptych.triton import TritonRuntime, TritonSupervisor

pytestmark = pytest.mark.triton

TYPED_ERRORS = {"triton_grpc_error": "true"}
"""With this header an error ends the stream with its own gRPC status; without, it is a message with no code."""


@dataclass(frozen=True)
class Reply:
    outputs: tuple[str, ...]
    final: bool
    request: dict[str, object]


@pytest.fixture(scope="module")
async def triton(runtime: TritonRuntime, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TritonSupervisor]:
    root: Path = tmp_path_factory.mktemp("decoupled")
    async with TritonSupervisor(runtime, repository_with(root / "models", "stepper"), root / "triton.log") as running:
        yield running


async def ask(triton: TritonSupervisor, steps: int, cancel_after: int = 0, **request: object) -> list[Reply]:
    tensor = grpcclient.InferInput("STEPS", [1], "INT32")
    tensor.set_data_from_numpy(np.array([steps], np.int32))

    async def requests() -> AsyncIterator[dict[str, object]]:
        yield {"model_name": "stepper", "inputs": [tensor], **request}

    replies: list[Reply] = []
    async with grpcclient.InferenceServerClient(triton.endpoints.grpc) as client:
        stream = client.stream_infer(requests(), headers=TYPED_ERRORS)
        async for result, error in stream:
            assert error is None
            raw = result.get_response()
            facts = result.as_numpy("REQUEST")
            replies.append(
                Reply(
                    outputs=tuple(output.name for output in raw.outputs),
                    final=raw.parameters["triton_final_response"].bool_param,
                    request=json.loads(facts[0]) if facts is not None else {},
                )
            )
            if len(replies) == cancel_after:
                assert stream.cancel()
                break
    return replies


async def metric(triton: TritonSupervisor, name: str) -> float:
    def read() -> float:
        with urllib.request.urlopen(triton.endpoints.metrics, timeout=5) as page:
            lines = page.read().decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"{name}{{")).rsplit(" ", 1)[1])

    return await asyncio.to_thread(read)


async def test_progress_with_some_outputs_then_the_final_ones(triton: TritonSupervisor) -> None:
    replies = await ask(
        triton, 3, request_id="r1", priority=2, timeout=5000, parameters={"tier": "gold", "seed": 7, "fast": True}
    )
    assert [reply.outputs for reply in replies] == [("STEP",)] * 3 + [("RESULT", "REQUEST")]
    assert [reply.final for reply in replies] == [False, False, False, True]
    assert replies[-1].request == {
        "id": "r1",
        "parameters": {"tier": "gold", "seed": 7, "fast": True},
        "timeout": 5000,
        "outputs": ["REQUEST", "RESULT", "STEP"],
        "priority": False,  # a request's priority is not shown to the model: send one as a parameter
    }


async def test_responses_without_a_requested_output_arrive_empty(triton: TritonSupervisor) -> None:
    outputs = [grpcclient.InferRequestedOutput("RESULT")]
    replies = await ask(triton, 1, outputs=outputs)
    assert [(reply.outputs, reply.final) for reply in replies] == [((), False), (("RESULT",), True)]


@pytest.mark.parametrize(
    ("steps", "code", "message"),
    [(-1, grpc.StatusCode.UNAVAILABLE, "the queue is full"), (-2, grpc.StatusCode.INVALID_ARGUMENT, "bad request")],
)
async def test_errors_keep_their_code(
    triton: TritonSupervisor, steps: int, code: grpc.StatusCode, message: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(triton, steps)
    assert (caught.value.code(), caught.value.details()) == (code, message)


async def test_cancelled_streams_are_seen_and_harm_nobody(triton: TritonSupervisor) -> None:
    before = await metric(triton, "stepper_cancelled_total")
    # Long enough that those cancelled are not done before the cancel is seen.
    asks = (ask(triton, 1000 if i % 2 else 30, cancel_after=2 if i % 2 else 0) for i in range(16))
    results = await asyncio.gather(*asks)
    assert [len(replies) for replies in results] == [31, 2] * 8
    # The model counts after the last response is on its way.
    async with asyncio.timeout(30):
        while await metric(triton, "stepper_cancelled_total") < before + 8 or await metric(triton, "stepper_active"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await metric(triton, "stepper_cancelled_total") == before + 8
    assert await metric(triton, "stepper_active") == 0
    assert await metric(triton, "stepper_step_seconds_count") > 30
    assert triton.status.restarts == 0
