"""What a soak showed."""

import statistics
from dataclasses import dataclass

from benchmarks.machine import Machine
from benchmarks.residency.models import GIANT
from benchmarks.residency.sampling import Sample
from benchmarks.residency.soak import Answer, Plan
from benchmarks.residency.stacks import Servers
from gateway.domain.residency import ResidencyCounts

_MIB = 2**20
_LEFT_OVER = 0.02


@dataclass(frozen=True, slots=True)
class Swap:
    """Seconds of one picture of a model whose components must come in for others, and of the next one."""

    cold: float
    warm: float


@dataclass(frozen=True, slots=True)
class Soak:
    """One backend. Bytes of memory that processes have of their own, anonymous and shared, without pages of files.

    `base` is what `Sample.resident` counts without any model; `start` and `end` are of the servers without models,
    before and after the soak. Memory was looked at `looked` times, also while every model was
    measured for the first time, before `start`; `samples` are the peaks of each second.
    """

    backend: str
    runtime: str
    plan: Plan
    budget: int
    model_bytes: int
    base: int
    start: Servers
    end: Servers
    seconds: float
    answers: tuple[Answer, ...]
    counts: ResidencyCounts
    looked: int
    samples: tuple[Sample, ...]
    swaps: tuple[Swap, ...]

    @property
    def over_reserved(self) -> int:
        """Seconds with more reserved than the budget."""
        return sum(sample.reserved > self.budget for sample in self.samples)

    @property
    def over_resident(self) -> int:
        """Seconds with more in memory than the budget."""
        return sum(sample.resident - self.base > self.budget for sample in self.samples)

    @property
    def peak(self) -> int:
        """The most that models ever took."""
        return max(sample.resident - self.base for sample in self.samples)

    @property
    def left_over(self) -> float:
        """How much more is in memory at the end than at the start, as a share."""
        return self.end.together / self.start.together - 1

    @property
    def unexpected(self) -> tuple[Answer, ...]:
        """Answers that are neither pictures nor the refusal of what can never fit."""
        return tuple(
            answer
            for answer in self.answers
            if (answer.status, answer.code) != ((507, "insufficient_memory") if answer.model == GIANT else (200, ""))
        )

    @property
    def good(self) -> bool:
        """Never over the budget, nothing left behind, every answer as it should be."""
        return not (self.over_reserved or self.over_resident or self.unexpected) and self.left_over <= _LEFT_OVER


@dataclass(frozen=True, slots=True)
class Result:
    """A run."""

    started: str
    commit: str
    machine: Machine
    soaks: tuple[Soak, ...]


def table(result: Result) -> str:
    """Markdown, one column a backend."""
    rows: list[tuple[str, ...]] = [
        ("", *(f"{soak.backend} ({soak.runtime})" for soak in result.soaks)),
        ("---", *("---:" for _ in result.soaks)),
    ]

    def row(name: str, *values: str) -> None:
        rows.append((name, *values))

    row("requests, users", *(f"{soak.plan.requests}, {soak.plan.users}" for soak in result.soaks))
    row("one model in use", *(f"{soak.model_bytes / _MIB:.0f} MiB" for soak in result.soaks))
    row("budget", *(f"{soak.budget / _MIB:.0f} MiB" for soak in result.soaks))
    row("pictures", *(str(sum(a.status == 200 for a in soak.answers)) for soak in result.soaks))
    row("refused with 507, as they should be", *(str(sum(a.status == 507 for a in s.answers)) for s in result.soaks))
    row("other answers", *(str(len(soak.unexpected)) for soak in result.soaks))
    row("looks at memory", *(str(soak.looked) for soak in result.soaks))
    row("seconds with more reserved than the budget", *(str(soak.over_reserved) for soak in result.soaks))
    row("seconds with more taken than the budget", *(str(soak.over_resident) for soak in result.soaks))
    row("most that models took", *(f"{soak.peak / _MIB:.0f} MiB" for soak in result.soaks))
    row("components loaded, unloaded", *(f"{s.counts.loads}, {s.counts.unloads}" for s in result.soaks))
    row("seconds of a load", *(f"{s.counts.load_seconds / max(1, s.counts.loads):.2f}" for s in result.soaks))
    row("seconds of an unload", *(f"{s.counts.unload_seconds / max(1, s.counts.unloads):.2f}" for s in result.soaks))
    row("a picture after a swap", *(f"{statistics.median(x.cold for x in s.swaps):.2f} s" for s in result.soaks))
    row("the next one", *(f"{statistics.median(x.warm for x in s.swaps):.2f} s" for s in result.soaks))
    row("servers without models, at the start", *(_told(soak.start) for soak in result.soaks))
    row("at the end", *(f"{_told(soak.end)}, {soak.left_over:+.1%}" for soak in result.soaks))
    row("seconds", *(f"{soak.seconds:.0f}" for soak in result.soaks))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + "\n"


def _told(servers: Servers) -> str:
    triton = f", {servers.triton / _MIB:.1f} of them Triton's" if servers.triton else ""
    return f"{servers.together / _MIB:.1f} MiB{triton}"
