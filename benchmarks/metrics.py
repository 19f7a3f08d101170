"""The step engine's counters, read off a server's Prometheus page."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.figures import StepCounters

STEPS_COUNTER = "triptych_engine_steps_total"
ROWS_COUNTER = "triptych_engine_rows_total"


async def read_counters(base_url: str) -> StepCounters | None:
    """The totals over all models; None if the page does not answer or does not have them."""
    async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
        try:
            page = await client.get(f"{base_url}/metrics")
        except httpx.HTTPError:
            return None
    return parse_counters(page.text) if page.status_code == httpx.codes.OK else None


def parse_counters(page: str) -> StepCounters | None:
    """Sums over the labels."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name in {STEPS_COUNTER, ROWS_COUNTER}:
                sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    if len(sums) < 2:
        return None
    return StepCounters(steps=sums[STEPS_COUNTER], rows=sums[ROWS_COUNTER])
