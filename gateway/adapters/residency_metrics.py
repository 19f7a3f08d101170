"""What is in memory, for Prometheus: read when the page is, so that it is never stale."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.domain.residency import TellsResidency

_PREFIX = "triptych_residency"


class ResidencyCollector(Collector):
    """Gauges of the moment and totals since the start."""

    def __init__(self, source: TellsResidency) -> None:
        self._source = source

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """See prometheus_client."""
        now = self._source.residency()
        if now.budget is not None:
            yield GaugeMetricFamily(f"{_PREFIX}_budget_bytes", "Memory that models may take together", now.budget)
        yield GaugeMetricFamily(f"{_PREFIX}_used_bytes", "Memory that models take or have reserved", now.used)
        if now.host_budget:
            yield GaugeMetricFamily(f"{_PREFIX}_host_budget_bytes", "Host memory for idle models", now.host_budget)
            yield GaugeMetricFamily(f"{_PREFIX}_host_used_bytes", "Host memory that idle models take", now.host_used)
        sizes = GaugeMetricFamily(
            f"{_PREFIX}_component_bytes", "Memory of one component", labels=["component", "state"]
        )
        leases = GaugeMetricFamily(f"{_PREFIX}_leases", "Requests that use a component", labels=["component"])
        waiting = GaugeMetricFamily(f"{_PREFIX}_waiting", "Requests that wait for a component", labels=["component"])
        for status in now.units:
            sizes.add_metric([status.unit.name, status.state.value], status.bytes)
            leases.add_metric([status.unit.name], status.leases)
            waiting.add_metric([status.unit.name], status.waiting)
        yield from (sizes, leases, waiting)
        counts = now.counts
        for name, text, value in (
            ("loads", "Components loaded", counts.loads),
            ("load_seconds", "Seconds that loads took", counts.load_seconds),
            ("load_failures", "Components that could not be loaded", counts.load_failures),
            ("unloads", "Components unloaded", counts.unloads),
            ("unload_seconds", "Seconds that unloads took", counts.unload_seconds),
            ("parks", "Unloads that left the weights in host memory", counts.parks),
            ("refused", "Requests refused for want of memory", counts.refused),
        ):
            yield CounterMetricFamily(f"{_PREFIX}_{name}", text, value)
