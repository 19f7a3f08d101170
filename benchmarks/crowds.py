"""What kinds of requests take for one user and for a crowd, in rounds in which all take turns."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

ROUNDS = 3
CROWD = 8


@dataclass(frozen=True, slots=True)
class Timed:
    """A finished request: its seconds, and those of its stages where the answer tells them."""

    seconds: float
    stages: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Load:
    """Medians over the rounds, of `users` who each send one request after the other. `stages`: seconds of each."""

    kind: str
    users: int
    latency: float
    requests_per_second: float
    stages: dict[str, float]


Ask = Callable[[str, int, int], Awaitable[Timed]]
"""Send one request: its kind, its number within the round, and its user's."""


async def measure(kinds: Sequence[str], each: int, ask: Ask) -> tuple[Load, ...]:
    """Kinds and numbers of users take turns, `each` requests a user; the first round warms up and is dropped."""
    cells = [(kind, users) for kind in kinds for users in (1, CROWD)]
    rounds: dict[tuple[str, int], list[Load]] = {cell: [] for cell in cells}
    for number in range(ROUNDS + 1):
        for kind, users in cells:
            load = await _load(kind, users, each if number else 1, ask)
            if number:
                rounds[kind, users].append(load)
    return tuple(_median(loads) for loads in rounds.values())


def table(heading: str, loads: Sequence[Load]) -> list[str]:
    """Lines of Markdown, with what the crowd gains over one user; none without loads."""
    if not loads:
        return []
    lines = ["", f"| {heading} | users | latency, s | requests/s | against one user |", "|---|---:|---:|---:|---:|"]
    alone = {load.kind: load.requests_per_second for load in loads if load.users == 1}
    for load in loads:
        gain = load.requests_per_second / alone[load.kind]
        lines.append(
            f"| {load.kind} | {load.users} | {load.latency:.2f} | {load.requests_per_second:.2f} | {gain:.2f} x |"
        )
    return lines


async def _load(kind: str, users: int, each: int, ask: Ask) -> Load:
    async def user(place: int) -> list[Timed]:
        return [await ask(kind, place * each + number, place) for number in range(each)]

    began = time.perf_counter()
    answers = [item for some in await asyncio.gather(*map(user, range(users))) for item in some]
    seconds = time.perf_counter() - began
    return Load(
        kind, users, statistics.median(item.seconds for item in answers), len(answers) / seconds, _by_stage(answers)
    )


def _median(loads: Sequence[Load]) -> Load:
    return Load(
        loads[0].kind,
        loads[0].users,
        statistics.median(load.latency for load in loads),
        statistics.median(load.requests_per_second for load in loads),
        _by_stage(loads),
    )


def _by_stage(measured: Sequence[Timed | Load]) -> dict[str, float]:
    return {stage: statistics.median(item.stages[stage] for item in measured) for stage in measured[0].stages}
