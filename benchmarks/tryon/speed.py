"""Latency by stage, and pictures a second by users and by how many requests may be in flight."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from benchmarks.tryon.asking import Asking, Dressed, try_on
from wardrobe.evaluation.tryon_score import TryOnCase

ROUNDS = 3
CROWD = 8


@dataclass(frozen=True, slots=True)
class Load:
    """Medians over the rounds, of `users` who each send one request after the other. `stages`: seconds of each."""

    mode: str
    users: int
    latency: float
    requests_per_second: float
    stages: dict[str, float]


async def measure(url: str, cases: Sequence[TryOnCase], each: int) -> tuple[Load, ...]:
    """Modes and numbers of users take turns, `each` requests a user; the first round warms up and is dropped."""
    kinds = [(mode, users) for mode in ("fast", "premium") for users in (1, CROWD)]
    rounds: dict[tuple[str, int], list[Load]] = {kind: [] for kind in kinds}
    async with httpx.AsyncClient(base_url=url) as client:
        for number in range(ROUNDS + 1):
            for mode, users in kinds:
                load = await _load(client, mode, users, cases, each if number else 1)
                if number:
                    rounds[mode, users].append(load)
    return tuple(_median(loads) for loads in rounds.values())


async def _load(client: httpx.AsyncClient, mode: str, users: int, cases: Sequence[TryOnCase], each: int) -> Load:
    async def user(place: int) -> list[Dressed]:
        asks = [cases[(place * each + number) % len(cases)] for number in range(each)]
        return [await try_on(client, Asking(mode, case.person, case.garment, place)) for case in asks]

    began = time.perf_counter()
    answers = [item for some in await asyncio.gather(*map(user, range(users))) for item in some]
    seconds = time.perf_counter() - began
    stages = {stage: statistics.median(item.stages[stage] for item in answers) for stage in answers[0].stages}
    latency = statistics.median(item.seconds for item in answers)
    return Load(mode, users, latency, len(answers) / seconds, stages)


def _median(loads: Sequence[Load]) -> Load:
    stages = {stage: statistics.median(load.stages[stage] for load in loads) for stage in loads[0].stages}
    return Load(
        loads[0].mode,
        loads[0].users,
        statistics.median(load.latency for load in loads),
        statistics.median(load.requests_per_second for load in loads),
        stages,
    )
