"""From visits to the table: medians over the repeats."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.contenders import Contender, InProcess
from benchmarks.figures import Measured, RowsPerStep, Visit
from benchmarks.processes import ProcessMemory
from benchmarks.stats import median, median_of, percentile, ratio

TAIL = 0.95


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """One crowd: pictures a second and latencies, medians over the repeats."""

    users: int
    images_per_s: float
    median_s: float | None
    p95_s: float | None
    failures: int


@dataclass(frozen=True, slots=True)
class Summary:
    """One contender's row. None is a figure that was not or cannot be measured."""

    key: str
    label: str
    has_http: bool
    repeats: int
    points: tuple[LoadPoint, ...]
    short_solo_s: float | None
    short_loaded_p95_s: float | None
    long_per_s: float | None
    live_s: float | None
    ready_s: float | None
    memory: tuple[ProcessMemory, ...]
    rows_per_step: tuple[RowsPerStep, ...]
    problem: str

    @property
    def short_ratio(self) -> float | None:
        """How much worse a short request's tail is beside long ones than alone."""
        return ratio(self.short_loaded_p95_s, self.short_solo_s)

    @property
    def memory_mib(self) -> float | None:
        """Resident memory of all processes together; shared pages count in each."""
        return sum(process.rss_mib for process in self.memory) or None

    def point(self, users: int) -> LoadPoint | None:
        """The crowd of that size."""
        return next((point for point in self.points if point.users == users), None)


def summarise(contender: Contender, visits: Iterable[Visit]) -> Summary:
    """All repeats of one contender as one row."""
    own = [visit for visit in visits if visit.contender == contender.key]
    measured = [visit.measured for visit in own if visit.measured is not None]
    loaded = [figures.loaded for figures in measured if figures.loaded is not None]
    return Summary(
        key=contender.key,
        label=contender.label,
        has_http=not isinstance(contender, InProcess),
        repeats=len(measured),
        points=_points(measured),
        short_solo_s=median_of(median(figures.short_solo_s) for figures in measured),
        short_loaded_p95_s=median_of(percentile(short.latencies_s, TAIL) for short in loaded),
        long_per_s=median_of(short.long_finished / short.seconds for short in loaded),
        live_s=median_of(visit.live_s for visit in own),
        ready_s=median_of(visit.ready_s for visit in own),
        memory=_memory(own),
        rows_per_step=_rows(measured),
        problem=next((visit.problem for visit in own if visit.problem), ""),
    )


def _points(measured: list[Measured]) -> tuple[LoadPoint, ...]:
    crowds = sorted({cell.users for figures in measured for cell in figures.cells})
    points = []
    for users in crowds:
        cells = [cell for figures in measured for cell in figures.cells if cell.users == users]
        points.append(
            LoadPoint(
                users=users,
                images_per_s=_required(median(cell.images_per_s for cell in cells)),
                median_s=median_of(median(cell.latencies_s) for cell in cells),
                p95_s=median_of(percentile(cell.latencies_s, TAIL) for cell in cells),
                failures=sum(cell.failures for cell in cells),
            )
        )
    return tuple(points)


def _rows(measured: list[Measured]) -> tuple[RowsPerStep, ...]:
    entries = [entry for figures in measured for entry in figures.rows_per_step]
    crowds = sorted({entry.users for entry in entries})
    return tuple(
        RowsPerStep(users, _required(median(entry.rows for entry in entries if entry.users == users)))
        for users in crowds
    )


def _memory(visits: list[Visit]) -> tuple[ProcessMemory, ...]:
    """The median of each role, in the order of the first visit; equal roles of one visit are told apart by a number."""
    by_role: dict[str, list[float]] = {}
    for visit in visits:
        seen: dict[str, int] = {}
        for process in visit.memory:
            seen[process.role] = number = seen.get(process.role, 0) + 1
            role = process.role if number == 1 else f"{process.role} {number}"
            by_role.setdefault(role, []).append(process.rss_mib)
    return tuple(ProcessMemory(role, _required(median(values))) for role, values in by_role.items())


def _required(value: float | None) -> float:
    assert value is not None
    return value


def by_key(summaries: Iterable[Summary]) -> Callable[[str], Summary | None]:
    """Look-up by contender."""
    table = {summary.key: summary for summary in summaries}
    return table.get
