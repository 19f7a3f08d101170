"""What we promised, checked against what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contenders import ENGINE, FASTAPI, INPROCESS, LITSERVE, TRITON
from benchmarks.stats import ratio
from benchmarks.summary import LoadPoint, Summary, by_key

CROWD = 8


@dataclass(frozen=True, slots=True)
class Target:
    """One promise. `at_least` says on which side of `limit` the figure must be, `beyond` that the limit itself is not
    enough; no figure is a failure."""

    name: str
    value: float | None
    limit: float
    unit: str
    at_least: bool = False
    beyond: bool = False
    beside: str = ""

    @property
    def passed(self) -> bool:
        """Whether the figure was measured and is on the right side."""
        if self.value is None or (self.beyond and self.value == self.limit):
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def line(self) -> str:
        """One readable line."""
        found = "not measured" if self.value is None else f"{self.value:.4g}{self.unit}"
        sign = (">" if self.at_least else "<") + ("" if self.beyond else "=")
        beside = f" ({self.beside})" if self.beside else ""
        verdict = "PASS" if self.passed else "FAIL"
        return f"{verdict}  {self.name}: {found}, promised {sign} {self.limit:g}{self.unit}{beside}"


def check(summaries: Sequence[Summary]) -> tuple[Target, ...]:
    """Every promise, whether or not its contenders took part."""
    find = by_key(summaries)
    triton, fastapi, engine = find(TRITON.key), find(FASTAPI.key), find(ENGINE.key)
    shorts = [find(key) for key in (FASTAPI.key, LITSERVE.key, INPROCESS.key)]
    return (
        Target(
            f"images/s at {CROWD} users against FastAPI + diffusers",
            ratio(_rate(triton, CROWD), _rate(fastapi, CROWD)),
            2.0,
            "x",
            at_least=True,
            beside=f"{_shown(_rate(triton, CROWD))} against {_shown(_rate(fastapi, CROWD))} images/s",
        ),
        Target(
            "p95 of short requests beside long ones, against alone",
            triton.short_ratio if triton else None,
            3.0,
            "x",
            beside=", ".join(f"{row.label} {_shown(row.short_ratio)}x" for row in shorts if row),
        ),
        Target("stack tax on latency, 1 user", ratio(_median(triton, 1), _median(engine, 1)), 1.10, "x"),
        Target(f"stack tax on images/s, {CROWD} users", ratio(_rate(engine, CROWD), _rate(triton, CROWD)), 1.10, "x"),
        Target("gateway answers after", triton.live_s if triton else None, 1.5, " s"),
        Target("whole stack ready after", triton.ready_s if triton else None, 20.0, " s"),
        Target("gateway memory", _gateway_mib(triton), 200.0, " MiB"),
    )


def _point(summary: Summary | None, users: int) -> LoadPoint | None:
    return summary.point(users) if summary else None


def _rate(summary: Summary | None, users: int) -> float | None:
    point = _point(summary, users)
    return point.images_per_s if point else None


def _median(summary: Summary | None, users: int) -> float | None:
    point = _point(summary, users)
    return point.median_s if point else None


def _gateway_mib(summary: Summary | None) -> float | None:
    """The process we start is the gateway itself."""
    return next((process.rss_mib for process in summary.memory if process.role == "main"), None) if summary else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
