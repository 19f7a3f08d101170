"""Latency by number of layers, and pictures a second by users."""

from collections.abc import Sequence

import httpx

from benchmarks import crowds
from benchmarks.layers.asking import Asking, take_apart
from wardrobe.evaluation.layers_score import LayersCase

COUNTS = (2, 5, 10)


async def measure(url: str, cases: Sequence[LayersCase], each: int) -> tuple[crowds.Load, ...]:
    """Few layers and many, `each` requests a user and round."""
    async with httpx.AsyncClient(base_url=url) as client:

        async def ask(layers: str, number: int, user: int) -> crowds.Timed:
            case = cases[number % len(cases)]
            return crowds.Timed((await take_apart(client, Asking(case.picture, seed=user, layers=int(layers)))).seconds)

        return await crowds.measure([str(count) for count in COUNTS], each, ask)
