"""The planner alone: what may share a batch, who goes first, and that nobody starves."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.settings import Policy
from engine.step.bucket import Bucket
from engine.step.plan import Candidate, plan

SMALL = Bucket((4, 16, 16), ((64, 192),))
LARGE = Bucket((4, 32, 32), ((64, 192),))
POLICY = Policy()


class LinearCosts:
    """Nearly linear, as a CPU is: 2 ms a call and 7 ms a row; four times that for the larger pictures."""

    def seconds(self, bucket: Bucket, rows: int) -> float:
        return (0.002 + 0.007 * rows) * bucket.cells / SMALL.cells

    def cap(self, bucket: Bucket) -> int:
        return 8 if bucket == SMALL else 4


class FlatCosts(LinearCosts):
    """As a GPU is while it has room: rows are free."""

    def seconds(self, bucket: Bucket, rows: int) -> float:
        return 0.02


def candidate(
    number: int, *, calls: int = 20, left: int | None = None, rows: int = 2, bucket: Bucket = SMALL, priority: int = 0
) -> Candidate:
    left = calls if left is None else left
    return Candidate(number, number, bucket, rows, calls, left, lag=left, priority=priority)


candidates = st.lists(
    st.builds(
        lambda calls, left, rows, bucket, priority: (calls, min(left, calls), rows, bucket, priority),
        st.integers(1, 60),
        st.integers(1, 60),
        st.sampled_from([1, 2, 4, 6]),
        st.sampled_from([SMALL, LARGE]),
        st.integers(-1, 1),
    ),
    min_size=1,
    max_size=12,
).map(
    lambda rows: [
        candidate(at, calls=calls, left=left, rows=n, bucket=bucket, priority=priority)
        for at, (calls, left, n, bucket, priority) in enumerate(rows)
    ]
)


@given(candidates, st.floats(0, 1), st.sampled_from([LinearCosts(), FlatCosts()]))
def test_a_plan_is_one_valid_batch(waiting: list[Candidate], credit: float, costs: LinearCosts) -> None:
    chosen = plan(waiting, costs, POLICY, credit)
    picked = [waiting[number] for number in chosen.cohorts]
    assert picked
    assert len(set(chosen.cohorts)) == len(picked)
    assert {c.bucket for c in picked} == {chosen.bucket}
    rows = sum(c.rows for c in picked)
    assert rows <= costs.cap(chosen.bucket) or len(picked) == 1
    assert chosen.credit >= 0


@settings(max_examples=60, deadline=None)
@given(candidates, st.data())
def test_the_oldest_ends_however_many_short_ones_arrive(waiting: list[Candidate], data: st.DataObject) -> None:
    """A request at the back of every order still gets its share: it ends within a bounded number of ticks."""
    costs = LinearCosts()
    victim = replace(waiting[0], priority=-5)
    active = {0: victim, **{c.cohort: c for c in waiting[1:]}}
    credit = 0.0
    newcomer = 1000
    spent = 0.0
    served = 0.0
    for _ in range(5000):
        for _ in range(data.draw(st.integers(0, 2)) if len(active) < 12 else 0):
            active[newcomer] = candidate(newcomer, calls=4, rows=2)
            newcomer += 1
        numbered = [replace(c, cohort=at) for at, c in enumerate(active.values())]
        keys = list(active)
        chosen = plan(numbered, costs, POLICY, credit)
        credit = chosen.credit
        tick = costs.seconds(chosen.bucket, sum(numbered[n].rows for n in chosen.cohorts))
        spent += tick
        for number in chosen.cohorts:
            key = keys[number]
            before = active[key]
            if key == 0:
                served += costs.seconds(before.bucket, before.rows)
            active[key] = replace(before, calls_left=before.calls_left - 1, lag=before.lag - 1)
            if not active[key].calls_left:
                del active[key]
        if 0 not in active:
            break
    assert 0 not in active
    # A share of a quarter, less what one longest tick can delay each of its own.
    longest = max(costs.seconds(bucket, costs.cap(bucket)) for bucket in (SMALL, LARGE))
    assert served >= POLICY.minimum_share * spent / 2 or spent <= 4 * victim.calls * (longest + served / victim.calls)


def test_short_requests_overtake_long_ones_and_ride_nearly_alone_where_rows_cost() -> None:
    waiting = [candidate(at, calls=50, left=10 + at) for at in range(8)] + [candidate(8, calls=4)]
    chosen = plan(waiting, LinearCosts(), POLICY, 0.0)
    assert chosen.cohorts[0] == 8
    seconds = LinearCosts().seconds(SMALL, 2 * len(chosen.cohorts))
    assert seconds <= POLICY.stretch * LinearCosts().seconds(SMALL, 2)


def test_where_rows_are_free_long_ones_ride_along() -> None:
    waiting = [candidate(at, calls=50, left=30) for at in range(8)] + [candidate(8, calls=4)]
    assert len(plan(waiting, FlatCosts(), POLICY, 0.0).cohorts) == 4


def test_equal_requests_fill_the_batch_and_those_started_go_first() -> None:
    waiting = [candidate(at, calls=20, left=20 if at < 4 else 10) for at in range(8)]
    assert set(plan(waiting, LinearCosts(), POLICY, 0.0).cohorts) == {4, 5, 6, 7}


def test_equal_newcomers_go_in_order_of_arrival() -> None:
    waiting = [candidate(at, calls=20) for at in range(8)]
    assert plan(waiting, LinearCosts(), POLICY, 0.0).cohorts == (0, 1, 2, 3)


def test_priority_goes_before_length() -> None:
    waiting = [candidate(0, calls=4), candidate(1, calls=50, priority=1)]
    assert plan(waiting, LinearCosts(), POLICY, 0.0).cohorts[0] == 1


def test_a_smaller_one_fills_the_room_that_the_next_in_order_cannot() -> None:
    waiting = [candidate(0, calls=20, rows=6), candidate(1, calls=20, rows=4), candidate(2, calls=20, rows=2)]
    assert set(plan(waiting, LinearCosts(), POLICY, 0.0).cohorts) <= {0, 1, 2}
    assert sum(waiting[n].rows for n in plan(waiting, LinearCosts(), POLICY, 0.0).cohorts) <= 8


def test_cohorts_of_one_request_advance_together() -> None:
    ahead = Candidate(0, 7, SMALL, 6, 20, 15, lag=14, cohorts=2)
    behind = Candidate(1, 7, SMALL, 6, 20, 15, lag=15, cohorts=2)
    assert plan([ahead, behind], LinearCosts(), POLICY, 0.0).cohorts == (1,)
