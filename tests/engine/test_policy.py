"""The promises that the planner is there for, played through in simulated time on a CPU's measured costs."""

import heapq
import random
from dataclasses import dataclass

from engine.settings import Policy
from engine.step.bucket import Bucket, RowLimits
from engine.step.cost import CostModel
from engine.step.plan import Candidate, plan

BUCKET = Bucket((4, 16, 16), ((64, 192),))
CPU = {1: 0.009, 2: 0.016, 4: 0.031, 8: 0.056, 16: 0.109}
"""Seconds by rows of the embedded model's UNet on two cores."""


@dataclass
class Job:
    user: int
    calls: int
    left: int
    born: float


class Machine:
    """Closed-loop users: each sends its next request, `pause(user)` seconds after the last one ended."""

    def __init__(self, calls_of_users: list[int], pause: dict[int, float]) -> None:
        self.costs = CostModel(RowLimits(16, 2, BUCKET.cells), Policy().throughput_slack)
        self.costs.measured(BUCKET, CPU)
        self.calls = calls_of_users
        self.pause = pause
        self.latencies: dict[int, list[float]] = {user: [] for user in range(len(calls_of_users))}
        self.rows = 0

    def run(self, seconds: float) -> None:
        chance = random.Random(1)
        now = credit = 0.0
        arrivals = [(chance.random() * self.pause.get(user, 0.0), user) for user in range(len(self.calls))]
        heapq.heapify(arrivals)
        jobs: dict[int, Job] = {}
        number = 0
        while now < seconds:
            while arrivals and arrivals[0][0] <= now:
                born, user = heapq.heappop(arrivals)
                jobs[number] = Job(user, self.calls[user], self.calls[user], born)
                number += 1
            if not jobs:
                now = arrivals[0][0]
                continue
            candidates = [Candidate(key, key, BUCKET, 2, j.calls, j.left, lag=j.left) for key, j in jobs.items()]
            chosen = plan(candidates, self.costs, Policy(), credit)
            credit = chosen.credit
            now += self.costs.seconds(BUCKET, 2 * len(chosen.cohorts))
            self.rows += 2 * len(chosen.cohorts)
            for key in chosen.cohorts:
                job = jobs[key]
                job.left -= 1
                if not job.left:
                    del jobs[key]
                    self.latencies[job.user].append(now - job.born)
                    heapq.heappush(arrivals, (now + self.pause.get(job.user, 0.0) * chance.random() * 2, job.user))


def p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * len(values))]


def test_four_steps_among_fifty_steps_take_at_most_three_times_their_solo_latency() -> None:
    machine = Machine([50] * 8 + [4], pause={8: 0.2})
    machine.run(120)
    assert len(machine.latencies[8]) > 200
    assert p95(machine.latencies[8]) <= 2.2 * 4 * CPU[2]
    assert machine.rows / 120 >= 0.8 * 8 / CPU[8]


def test_even_two_users_of_short_requests_keep_it() -> None:
    machine = Machine([50] * 8 + [4, 4], pause={8: 0.3, 9: 0.3})
    machine.run(120)
    assert p95(machine.latencies[8] + machine.latencies[9]) <= 3 * 4 * CPU[2]


def test_eight_equal_users_get_the_throughput_of_the_best_batch() -> None:
    machine = Machine([20] * 8, pause={})
    machine.run(120)
    assert machine.rows / 120 >= 0.97 * 8 / CPU[8]
    means = [sum(values) / len(values) for values in machine.latencies.values()]
    assert max(means) <= 1.2 * min(means)


def test_long_requests_go_on_under_a_flood_of_short_ones() -> None:
    machine = Machine([50, *[4] * 12], pause={})
    machine.run(120)
    # A quarter of the machine: at least every fourth tick's worth of its own solo speed.
    assert max(machine.latencies[0]) <= 4.5 * 50 * CPU[8] + 1
