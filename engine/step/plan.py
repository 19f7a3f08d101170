"""Which rows ride in the next denoiser call: a pure function of what is in flight.

Order: RS (remaining x total work, smallest first), the policy that minimises mean slowdown: short requests overtake
long ones, and among equals those already started finish first instead of all finishing last together.
The oldest request earns credit while it is passed over and leads a tick when the credit pays for one: none starves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.settings import Policy
from engine.step.bucket import Bucket


@dataclass(frozen=True, slots=True)
class Candidate:
    """One cohort: images of one request that ride together.

    `cohort` is the caller's number for it and `rows` what it takes in the next batch. Of its request: `arrival` orders
    requests, `cohorts` is how many it was split into, `calls_left` of `calls` denoiser calls are to come. `lag`: this
    cohort's own calls to come; the one that lags behind rides first. `usual_rows`: what it takes in a batch as a rule,
    where that is not `rows`.
    """

    cohort: int
    arrival: int
    bucket: Bucket
    rows: int
    calls: int
    calls_left: int
    lag: int
    cohorts: int = 1
    priority: int = 0
    usual_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Cohorts of the next call, in order, all of `bucket`. `credit`: seconds the oldest request is owed from now on."""

    bucket: Bucket
    cohorts: tuple[int, ...]
    credit: float


class Costs(Protocol):
    """What the planner asks of the cost model."""

    def seconds(self, bucket: Bucket, rows: int) -> float:
        """Expected seconds of a call."""
        ...

    def cap(self, bucket: Bucket) -> int:
        """The batch size worth going to."""
        ...


def plan(
    candidates: Sequence[Candidate], costs: Costs, policy: Policy, credit: float, share: int | None = None
) -> Plan:
    """Choose the next call's cohorts from at least one candidate, at most `share` rows where it is given."""
    work = {c.cohort: c.calls * c.cohorts * costs.seconds(c.bucket, c.usual_rows or c.rows) for c in candidates}
    order = sorted(candidates, key=lambda c: (-c.priority, _product(c, work[c.cohort]), c.arrival, -c.lag))
    oldest = min(candidates, key=lambda c: (c.arrival, -c.lag))
    due = costs.seconds(oldest.bucket, oldest.rows)
    first = order[0]
    lead = oldest if credit >= due else first

    chosen = [lead]
    rows = lead.rows
    cap = costs.cap(lead.bucket) if share is None else min(costs.cap(lead.bucket), share)
    # Whoever is long beside the first in order may lengthen its wait only a little, riding with it or instead of it.
    long = policy.long_ratio * work[first.cohort]
    anchor = first if first.bucket == lead.bucket else lead
    bearable = policy.stretch * costs.seconds(lead.bucket, anchor.rows)
    for candidate in order:
        total = rows + candidate.rows
        if candidate is lead or candidate.bucket != lead.bucket or total > cap:
            continue
        if work[candidate.cohort] < long or costs.seconds(lead.bucket, total) <= bearable:
            chosen.append(candidate)
            rows = total

    tick = costs.seconds(lead.bucket, rows)
    served = any(c.arrival == oldest.arrival for c in chosen)
    # Never owe more than one call: a debt saved up would later be paid in a burst.
    owed = 0.0 if served else min(credit + policy.minimum_share * tick, due)
    return Plan(lead.bucket, tuple(c.cohort for c in chosen), owed)


def _product(candidate: Candidate, work: float) -> float:
    return work * work * candidate.calls_left / candidate.calls
