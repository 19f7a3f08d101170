"""The Telemetry port on prometheus_client, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gateway.adapters.residency_metrics import ResidencyCollector
from gateway.domain.jobs import JobStatus
from gateway.domain.residency import TellsResidency
from gateway.domain.telemetry import Outcome, Stage

_STAGE_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_HTTP_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class PrometheusTelemetry:
    """One registry an application, so that several live in one process (tests do)."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._stage = Histogram(
            "triptych_stage_seconds",
            "Seconds that a stage of a generation took",
            ["stage"],
            buckets=_STAGE_BUCKETS,
            registry=self._registry,
        )
        self._generations = Counter(
            "triptych_generations", "Generations by how they ended", ["outcome"], registry=self._registry
        )
        self._pictures = Counter("triptych_pictures", "Pictures finished", registry=self._registry)
        self._active = Gauge("triptych_generations_active", "Generations that run", registry=self._registry)
        self._waiting = Gauge("triptych_generations_waiting", "Generations that wait", registry=self._registry)
        self._embeddings = Counter(
            "triptych_embedding_lookups", "Prompt embeddings looked up", ["result"], registry=self._registry
        )
        self._jobs = Gauge("triptych_jobs", "Jobs that have not ended, by status", ["status"], registry=self._registry)
        self._jobs_ended = Counter(
            "triptych_jobs_ended", "Jobs by how they ended", ["kind", "status"], registry=self._registry
        )
        self._http = Histogram(
            "triptych_http_request_seconds",
            "Seconds from a request's arrival to its last byte",
            ["method", "route", "status"],
            buckets=_HTTP_BUCKETS,
            registry=self._registry,
        )
        # Series exist from the start: a counter that appears with its first event hides that event from rate().
        for outcome in Outcome:
            self._generations.labels(outcome.value)
        for stage in Stage:
            self._stage.labels(stage.value)
        for result in ("hit", "miss"):
            self._embeddings.labels(result)

    def stage(self, stage: Stage, seconds: float) -> None:
        """See Telemetry."""
        self._stage.labels(stage.value).observe(seconds)

    def generation(self, outcome: Outcome, images: int) -> None:
        """See Telemetry."""
        self._generations.labels(outcome.value).inc()
        if outcome is Outcome.COMPLETED:
            self._pictures.inc(images)

    def load(self, active: int, waiting: int) -> None:
        """See Telemetry."""
        self._active.set(active)
        self._waiting.set(waiting)

    def embedding_lookup(self, *, hit: bool) -> None:
        """See Telemetry."""
        self._embeddings.labels("hit" if hit else "miss").inc()

    def jobs(self, queued: int, generating: int) -> None:
        """See JobTelemetry."""
        self._jobs.labels(JobStatus.QUEUED.value).set(queued)
        self._jobs.labels(JobStatus.GENERATING.value).set(generating)

    def job_ended(self, kind: str, status: JobStatus) -> None:
        """See JobTelemetry."""
        self._jobs_ended.labels(kind, status.value).inc()

    def http_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """See Telemetry."""
        self._http.labels(method, route, str(status)).observe(seconds)

    def watch(self, residency: TellsResidency) -> None:
        """Tell of its memory too."""
        self._registry.register(ResidencyCollector(residency))

    def exposition(self) -> bytes:
        """Everything measured, in Prometheus' text format."""
        return generate_latest(self._registry)
