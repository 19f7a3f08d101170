"""The engine's counts on Triton's metrics page."""

from typing import Any

import triton_python_backend_utils as pb_utils

from engine.step import EngineMetrics

_GAUGES: dict[str, str] = {
    "active_images": "Images in flight",
    "waiting_images": "Images not yet started",
    "batch_rows": "Rows of the last denoiser call",
    "step_seconds": "Seconds of the last denoiser call",
    "queued_seconds": "Expected seconds to work off everything in the engine",
}
_COUNTERS: dict[str, str] = {
    "ticks_total": "Denoiser calls",
    "rows_total": "Rows of images in denoiser calls",
    "padded_rows_total": "Rows of padding in deterministic denoiser calls",
    "skipped_evaluations_total": "Evaluations of an image that its step cache saved",
    "finished_total": "Requests finished",
    "cancelled_total": "Requests cancelled",
    "failed_total": "Requests failed",
    "rejected_total": "Requests refused because the queue was full",
    "busy_seconds_total": "Seconds spent on ticks",
    "runtime_seconds_total": "Seconds inside denoiser calls",
}


class MetricsPage:
    """Metric objects by name. Use from one thread only: Triton 2.51 crashes otherwise."""

    def __init__(self, model: str, version: str) -> None:
        """While a model is replaced two versions of it run, each with metrics of its own."""
        labels = {"model": model, "version": version}
        kinds = pb_utils.MetricFamily
        self._families: list[Any] = []  # Triton drops the metrics of a family that nobody holds
        self._gauges = {name: self._metric(name, text, kinds.GAUGE, labels) for name, text in _GAUGES.items()}
        self._counters = {name: self._metric(name, text, kinds.COUNTER, labels) for name, text in _COUNTERS.items()}
        self._shown: dict[str, float] = {}

    def show(self, metrics: EngineMetrics) -> None:
        """Write what changed; every write is a call into the server."""
        for name, value in _gauge_values(metrics).items():
            if self._shown.get(name) != value:
                self._gauges[name].set(value)
                self._shown[name] = value
        for name, value in _counter_values(metrics).items():
            step = value - self._shown.get(name, 0.0)
            if step > 0:
                self._counters[name].increment(step)
                self._shown[name] = value

    def _metric(self, name: str, description: str, kind: Any, labels: dict[str, str]) -> Any:
        family = pb_utils.MetricFamily(name=f"triptych_engine_{name}", description=description, kind=kind)
        self._families.append(family)
        return family.Metric(labels=labels)


def _gauge_values(metrics: EngineMetrics) -> dict[str, float]:
    return {
        "active_images": metrics.active,
        "waiting_images": metrics.waiting,
        "batch_rows": metrics.last_rows,
        "step_seconds": metrics.last_seconds,
        "queued_seconds": metrics.queued_seconds,
    }


def _counter_values(metrics: EngineMetrics) -> dict[str, float]:
    return {
        "ticks_total": metrics.ticks,
        "rows_total": metrics.rows,
        "padded_rows_total": metrics.padded_rows,
        "skipped_evaluations_total": metrics.skipped,
        "finished_total": metrics.finished,
        "cancelled_total": metrics.cancelled,
        "failed_total": metrics.failed,
        "rejected_total": metrics.rejected,
        "busy_seconds_total": metrics.busy_seconds,
        "runtime_seconds_total": metrics.runtime_seconds,
    }
