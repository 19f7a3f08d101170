"""The step engine's counters, read off Prometheus pages."""

from collections.abc import Sequence

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.figures import StepCounters

STEPS_COUNTER = "triptych_engine_ticks_total"
ROWS_COUNTER = "triptych_engine_rows_total"


async def read_counters(pages: Sequence[str]) -> StepCounters | None:
    """The totals over all models, off the first page that has them; None if none does."""
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        for url in pages:
            try:
                page = await client.get(url)
            except httpx.HTTPError:
                continue
            if page.status_code == httpx.codes.OK and (found := parse_counters(page.text)) is not None:
                return found
    return None


def parse_counters(page: str) -> StepCounters | None:
    """Sums over the labels; None where the text is no metrics page, or lacks the counters."""
    try:
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    except ValueError:
        return None
    sums: dict[str, float] = {}
    for sample in samples:
        if sample.name in {STEPS_COUNTER, ROWS_COUNTER}:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    if len(sums) < 2:
        return None
    return StepCounters(steps=sums[STEPS_COUNTER], rows=sums[ROWS_COUNTER])
