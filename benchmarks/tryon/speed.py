"""Latency of both modes by stage, and pictures a second by users."""

from collections.abc import Sequence

import httpx

from benchmarks import crowds
from benchmarks.tryon.asking import ROUTES, Asking, try_on
from wardrobe.evaluation.tryon_score import TryOnCase


async def measure(url: str, cases: Sequence[TryOnCase], each: int) -> tuple[crowds.Load, ...]:
    """Both modes, `each` requests a user and round."""
    async with httpx.AsyncClient(base_url=url) as client:

        async def ask(mode: str, number: int, user: int) -> crowds.Timed:
            case = cases[number % len(cases)]
            answer = await try_on(client, Asking(mode, case.person, case.garment, seed=user))
            return crowds.Timed(answer.seconds, answer.stages)

        return await crowds.measure(tuple(ROUTES), each, ask)
