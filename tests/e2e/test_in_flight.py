"""What the step engine promises on real Triton: mixing, cancelling, determinism, and honest metrics."""

import asyncio
import base64
import io
import random
import re
from dataclasses import dataclass

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from tests.support.metrics import sample, triton_metrics, wait_until_idle
from tests.support.stack import RunningStack

SCHEDULERS = ("dpm++_2m_karras", "euler", "euler_a", "heun", "ddim", "pndm", "lms", "unipc", "dpm++_sde_karras")
SIZES = ("128x128", "96x128", "128x96")


@dataclass(frozen=True)
class Ask:
    """One request of a crowd."""

    prompt: str
    steps: int
    scheduler: str
    seed: int
    size: str = "128x128"
    deterministic: bool = False


async def draw(client: openai.AsyncOpenAI, ask: Ask) -> bytes:
    """The request's pixels as raw RGB bytes."""
    answer = await client.images.generate(
        prompt=ask.prompt,
        model="wardrobe",
        size=ask.size,  # type: ignore[arg-type]
        response_format="b64_json",
        extra_body={
            "num_inference_steps": ask.steps,
            "scheduler": ask.scheduler,
            "seed": ask.seed,
            "deterministic": ask.deterministic,
        },
    )
    assert answer.data is not None and answer.data[0].b64_json is not None
    return Image.open(io.BytesIO(base64.b64decode(answer.data[0].b64_json))).convert("RGB").tobytes()


def difference(left: bytes, right: bytes) -> int:
    """Largest difference of any channel of any pixel."""
    a = np.frombuffer(left, dtype=np.uint8).astype(np.int16)
    b = np.frombuffer(right, dtype=np.uint8).astype(np.int16)
    return int(np.abs(a - b).max())


def crowd(generator: random.Random, count: int, deterministic: bool = False) -> list[Ask]:
    """Requests of mixed steps, schedulers and sizes."""
    return [
        Ask(
            prompt=f"a man wearing a {generator.choice(['red', 'blue', 'green'])} plain sweater and black shorts",
            steps=generator.choice([2, 3, 4, 6, 9]),
            scheduler=generator.choice(SCHEDULERS),
            seed=generator.randrange(1000),
            size=generator.choice(SIZES),
            deterministic=deterministic,
        )
        for _ in range(count)
    ]


async def test_deterministic_bytes_alone_and_among_seven_others(async_client: openai.AsyncOpenAI) -> None:
    generator = random.Random(2)
    for scheduler in ("dpm++_sde_karras", "euler"):
        ask = Ask("a woman wearing a yellow dotted dress", 6, scheduler, 77, deterministic=True)
        alone = await draw(async_client, ask)
        others = crowd(generator, 4, deterministic=True) + crowd(generator, 3)
        among, *_ = await asyncio.gather(draw(async_client, ask), *(draw(async_client, other) for other in others))
        assert among == alone


async def test_two_hundred_mixed_requests_with_random_cancels(
    stack: RunningStack, async_client: openai.AsyncOpenAI
) -> None:
    generator = random.Random(3)
    asks = crowd(generator, 200)
    permits = asyncio.Semaphore(24)

    async def one(ask: Ask, cancel_after: float | None) -> bytes | None:
        async with permits:
            work = asyncio.ensure_future(draw(async_client, ask))
            if cancel_after is None:
                return await work
            done, _ = await asyncio.wait({work}, timeout=cancel_after)
            if done:
                return work.result()
            work.cancel()
            return None

    patience = [generator.uniform(0.01, 0.6) if generator.random() < 0.5 else None for _ in asks]
    results = await asyncio.gather(*(one(*pair) for pair in zip(asks, patience, strict=True)))
    survivors = [(ask, result) for ask, result in zip(asks, results, strict=True) if result is not None]
    assert len(survivors) >= sum(limit is None for limit in patience)
    assert len(survivors) < len(asks), "no request was cancelled: the test did not test it"

    # Every survivor is right: what it is alone, to within the rounding that another batch size brings.
    for ask, result in generator.sample(survivors, 25):
        assert difference(result, await draw(async_client, ask)) <= 2
    await wait_until_idle(stack)


async def test_disconnect_cancels_within_a_step(stack: RunningStack) -> None:
    await wait_until_idle(stack)
    before = await triton_metrics(stack)
    # Four pictures: long enough that they are not done before the page, which lags, tells of them.
    body = {"prompt": "a man in a red sweater", "model": "wardrobe", "num_inference_steps": 150, "n": 4}
    async with httpx.AsyncClient(timeout=60) as http:
        caller = asyncio.create_task(http.post(f"{stack.url}/v1/images/generations", json=body))
        while not sample(await triton_metrics(stack), "triptych_engine_active_images"):
            assert not caller.done(), caller.result().text
            await asyncio.sleep(0.02)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
    await wait_until_idle(stack)
    after = await triton_metrics(stack)
    assert sample(after, "triptych_engine_cancelled_total") == sample(before, "triptych_engine_cancelled_total") + 1
    ticks = sample(after, "triptych_engine_ticks_total") - sample(before, "triptych_engine_ticks_total")
    assert 0 < ticks < 150


async def test_batches_are_seen_in_tritons_own_metrics(stack: RunningStack, async_client: openai.AsyncOpenAI) -> None:
    before = await triton_metrics(stack)
    asks = [Ask(f"a woman in a pink dress number {index}", 4, "euler", index) for index in range(32)]
    most_rows = 0.0

    async def watch() -> None:
        nonlocal most_rows
        while True:
            most_rows = max(most_rows, sample(await triton_metrics(stack), "triptych_engine_active_images"))
            await asyncio.sleep(0.05)

    watcher = asyncio.ensure_future(watch())
    await asyncio.gather(*(draw(async_client, ask) for ask in asks))
    watcher.cancel()
    after = await triton_metrics(stack)
    for component in ("text_encoder", "vae_decoder"):
        label = re.compile(rf'model="wardrobe\.{component}"')
        inferences = sample(after, "nv_inference_count", label) - sample(before, "nv_inference_count", label)
        executions = sample(after, "nv_inference_exec_count", label) - sample(before, "nv_inference_exec_count", label)
        assert inferences / executions > 1, f"{component}: {inferences} inferences in {executions} executions"
    assert most_rows > 1
