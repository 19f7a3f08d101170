"""Components that many call at once answer as batches, without Triton's batcher falling asleep (ADR 14)."""

import asyncio
import statistics
import time

import numpy as np
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from tests.support.stack import RunningStack

CALLS, ROUNDS = 8, 7
ASLEEP = 0.25
"""Half of what a batcher sleeps for, in seconds."""


async def test_calls_at_once_take_no_longer_than_one_after_the_other(stack: RunningStack) -> None:
    picture = InferInput("pixels", [1, 128, 128, 3], "UINT8")
    picture.set_data_from_numpy(np.full((1, 128, 128, 3), 127, np.uint8))
    at_once, in_turn = [], []
    address = stack.state().triton_grpc
    assert address is not None
    async with InferenceServerClient(address) as client:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            for _ in range(CALLS):
                await client.infer("wardrobe-parser.parser", [picture])
            middle = time.perf_counter()
            await asyncio.gather(*(client.infer("wardrobe-parser.parser", [picture]) for _ in range(CALLS)))
            in_turn.append(middle - began)
            at_once.append(time.perf_counter() - middle)
    assert statistics.median(at_once) < statistics.median(in_turn) + ASLEEP, (at_once, in_turn)
