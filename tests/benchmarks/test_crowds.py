"""Loads of one user and of a crowd, taking turns."""

import asyncio
from collections import Counter

import pytest

from benchmarks import crowds


async def test_each_user_asks_one_after_the_other_and_the_first_round_is_dropped() -> None:
    asked: Counter[tuple[str, int]] = Counter()
    under_way: Counter[int] = Counter()
    most = 0

    async def ask(kind: str, number: int, user: int) -> crowds.Timed:
        nonlocal most
        asked[kind, number] += 1
        under_way[user] += 1
        assert under_way[user] == 1
        most = max(most, under_way.total())
        await asyncio.sleep(0.001)
        under_way[user] -= 1
        return crowds.Timed(2.0 if number else 1.0, {"draw": 0.5})

    alone, together = await crowds.measure(["fast"], 3, ask)
    assert (alone.kind, alone.users, together.users) == ("fast", 1, crowds.CROWD)
    assert most == crowds.CROWD
    each_round = 3 + 3 * crowds.CROWD
    assert asked.total() == crowds.ROUNDS * each_round + 1 + crowds.CROWD
    assert alone.latency == together.latency == 2.0
    assert alone.stages == {"draw": 0.5}
    assert together.requests_per_second > 2 * alone.requests_per_second


async def test_what_one_asker_meets_ends_the_measurement() -> None:
    async def ask(kind: str, number: int, user: int) -> crowds.Timed:
        raise ValueError(f"{kind} {number} {user}")

    with pytest.raises(ValueError, match="fast 0 0"):
        await crowds.measure(["fast"], 1, ask)


def test_the_table_tells_what_a_crowd_gains() -> None:
    loads = [crowds.Load("5", users, users / 4, 2.0 * users**0.5, {}) for users in (1, 4)]
    assert crowds.table("layers", loads)[-2:] == [
        "| 5 | 1 | 0.25 | 2.00 | 1.00 x |",
        "| 5 | 4 | 1.00 | 4.00 | 2.00 x |",
    ]
    assert crowds.table("layers", []) == []
