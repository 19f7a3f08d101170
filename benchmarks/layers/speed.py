"""Latency by number of layers, and pictures a second by users."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from benchmarks.layers.asking import Apart, Asking, take_apart
from wardrobe.evaluation.layers_score import LayersCase

ROUNDS = 3
CROWD = 8
COUNTS = (2, 5, 10)


@dataclass(frozen=True, slots=True)
class Load:
    """Medians over the rounds, of `users` who each send one request after the other."""

    layers: int
    users: int
    latency: float
    requests_per_second: float


async def measure(url: str, cases: Sequence[LayersCase], each: int) -> tuple[Load, ...]:
    """Counts and numbers of users take turns, `each` requests a user; the first round warms up and is dropped."""
    kinds = [(layers, users) for layers in COUNTS for users in (1, CROWD)]
    rounds: dict[tuple[int, int], list[Load]] = {kind: [] for kind in kinds}
    async with httpx.AsyncClient(base_url=url) as client:
        for number in range(ROUNDS + 1):
            for layers, users in kinds:
                load = await _load(client, layers, users, cases, each if number else 1)
                if number:
                    rounds[layers, users].append(load)
    return tuple(_median(loads) for loads in rounds.values())


async def _load(client: httpx.AsyncClient, layers: int, users: int, cases: Sequence[LayersCase], each: int) -> Load:
    async def user(place: int) -> list[Apart]:
        asks = [cases[(place * each + number) % len(cases)] for number in range(each)]
        return [await take_apart(client, Asking(case.picture, place, layers)) for case in asks]

    began = time.perf_counter()
    answers = [item for some in await asyncio.gather(*map(user, range(users))) for item in some]
    seconds = time.perf_counter() - began
    latency = statistics.median(item.seconds for item in answers)
    return Load(layers, users, latency, len(answers) / seconds)


def _median(loads: Sequence[Load]) -> Load:
    return Load(
        loads[0].layers,
        loads[0].users,
        statistics.median(load.latency for load in loads),
        statistics.median(load.requests_per_second for load in loads),
    )
