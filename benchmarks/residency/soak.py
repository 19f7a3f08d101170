"""Requests for several models at once, most of them for the two that are in fashion."""

import asyncio
import random
import time
from dataclasses import dataclass

from benchmarks.residency.models import GIANT
from benchmarks.residency.stacks import Stack

_WORDS = ("red", "blue", "green", "black", "white", "yellow")


@dataclass(frozen=True, slots=True)
class Plan:
    """`fashion`: requests until two other models are wanted most. `giant_every`: each n-th request can never be."""

    requests: int = 300
    users: int = 8
    steps: int = 4
    fashion: int = 100
    cold_share: float = 0.03
    giant_every: int = 30
    seed: int = 11


@dataclass(frozen=True, slots=True)
class Answer:
    """One request. `code` is the error's, or empty."""

    model: str
    status: int
    seconds: float
    code: str = ""
    message: str = ""


def models_of(plan: Plan, names: tuple[str, ...]) -> tuple[str, ...]:
    """Which model each request is for: the same for the same plan."""
    chance = random.Random(plan.seed)
    asked = []
    for number in range(plan.requests):
        if plan.giant_every and number % plan.giant_every == plan.giant_every - 1:
            asked.append(GIANT)
            continue
        era = number // plan.fashion
        hot = (names[2 * era % len(names)], names[(2 * era + 1) % len(names)])
        asked.append(chance.choice(names) if chance.random() < plan.cold_share else chance.choice(hot))
    return tuple(asked)


async def soak(stack: Stack, plan: Plan, names: tuple[str, ...]) -> tuple[Answer, ...]:
    """Closed loop: each user asks when it was answered."""
    waiting = iter(enumerate(models_of(plan, names)))
    answers: list[Answer] = []

    async def user() -> None:
        for number, model in waiting:
            answers.append(await ask(stack, model, number, plan.steps))

    await asyncio.gather(*(user() for _ in range(plan.users)))
    return tuple(answers)


async def ask(stack: Stack, model: str, number: int, steps: int) -> Answer:
    """One picture; the prompt repeats now and then, so that the embedding cache does its part."""
    body = {
        "model": model,
        "prompt": f"a person in a {_WORDS[number % len(_WORDS)]} top",
        "num_inference_steps": steps,
        "seed": number,
        "response_format": "b64_json",
    }
    begun = time.perf_counter()
    answer = await stack.client.post("/v1/images/generations", json=body)
    seconds = time.perf_counter() - begun
    content = answer.json()
    if answer.status_code == 200:
        assert content["data"][0]["b64_json"]
        return Answer(model, 200, seconds)
    error = content["error"]
    return Answer(model, answer.status_code, seconds, error["code"], error["message"])
