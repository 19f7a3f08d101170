"""Figures made up for tests."""

from benchmarks.contenders import Contender, InProcess
from benchmarks.figures import Measured, RowsPerStep, Visit
from benchmarks.load import Cell, ShortUnderLoad
from benchmarks.processes import ProcessMemory
from benchmarks.summary import Summary, summarise


def cell(users: int, images: int, seconds: float) -> Cell:
    """`images` equal pictures in `seconds`."""
    return Cell(users, seconds, (seconds * users / images,) * images, failures=0)


def visits(contender: Contender, rates: tuple[float, ...], *, short_p95_s: float = 0.3) -> list[Visit]:
    """One visit a rate: that many images/s at one user, and three times as many at eight."""
    found = []
    for repeat, rate in enumerate(rates):
        measured = Measured(
            cells=(cell(1, 100, 100 / rate), cell(8, 300, 100 / rate)),
            rows_per_step=(RowsPerStep(8, 12.0 + repeat),),
            short_solo_s=(0.1, 0.1, 0.1),
            loaded=None if isinstance(contender, InProcess) else ShortUnderLoad(6.0, (0.1, short_p95_s), 0, 6),
        )
        memory = (ProcessMemory("main", 150.0 + repeat), ProcessMemory("worker", 10.0), ProcessMemory("worker", 20.0))
        found.append(Visit(contender.key, repeat, 1.0, 9.0, memory, measured))
    return found


def summary(contender: Contender, rates: tuple[float, ...] = (4.0,), *, short_p95_s: float = 0.3) -> Summary:
    """The row of such visits."""
    return summarise(contender, visits(contender, rates, short_p95_s=short_p95_s))
