"""Latency of one user and images/s of several, precision by precision, round after round."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import HttpDrawer
from benchmarks.load import DrawError, closed_loop
from benchmarks.quantisation.pictures import Tell
from benchmarks.stats import median
from benchmarks.workload import describe, requests


@dataclass(frozen=True, slots=True)
class TimingPlan:
    """`alone_s`, `crowd_s`: seconds of one user and of `users` users, for each precision in each round."""

    rounds: int
    users: int
    alone_s: float
    crowd_s: float


FULL = TimingPlan(rounds=4, users=8, alone_s=2.5, crowd_s=4.0)
QUICK = TimingPlan(rounds=1, users=8, alone_s=0.5, crowd_s=1.0)


@dataclass(frozen=True, slots=True)
class Round:
    """One precision in one round: median latency of one user, images/s of all users."""

    recipe: str
    number: int
    latency_s: float
    images_per_s: float


async def time_all(url: str, models: Path, names: Sequence[str], plan: TimingPlan, tell: Tell) -> tuple[Round, ...]:
    """Interleaved, so that drift of the machine befalls all alike. Raises DrawError for any request that fails."""
    rounds: list[Round] = []
    for number in range(plan.rounds + 1):  # the first is the warm-up
        short = 0.2 if number == 0 else 1.0
        for name in names:
            tell(f"timing {name}, " + (f"round {number} of {plan.rounds}" if number else "warm-up"))
            workload = describe(models / name, models)
            async with HttpDrawer(url, name, plan.users) as drawer:
                # Every precision draws the same stream of prompts in a round, and no prompt comes twice in it.
                alone = await closed_loop(drawer, requests(workload, seed=2 * number), 1, short * plan.alone_s)
                stream = requests(workload, seed=2 * number + 1)
                crowd = await closed_loop(drawer, stream, plan.users, short * plan.crowd_s)
            latency = median(alone.latencies_s)
            if latency is None or alone.failures or crowd.failures:
                raise DrawError(f"{name}: {alone.failures + crowd.failures} requests failed")
            if number:
                rounds.append(Round(name, number, latency, crowd.images_per_s))
    return tuple(rounds)
