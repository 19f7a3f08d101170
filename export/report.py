"""What a verification found: plain data, stored as JSON beside the artefact."""

import dataclasses
import json
from dataclasses import dataclass
from enum import StrEnum


class Comparison(StrEnum):
    """What an output was held against."""

    TORCH = "torch"
    ROW_ALONE = "row alone"
    FINITE = "finite weights"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """|value - reference| <= absolute + relative * |reference|; at most a share `differing` of all values differ."""

    absolute: float
    relative: float
    differing: float = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison.

    `error` is the largest absolute difference, None where none can be told; `differing` the share of unequal values.
    """

    sample: str
    output: str
    comparison: Comparison
    error: float | None
    differing: float
    passed: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """Every check of one component."""

    model: str
    component: str
    tolerance: Tolerance
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether the component may be published."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    def worst(self, comparison: Comparison) -> float:
        """The largest absolute error among checks of one kind; 0 where there are none."""
        errors = (check.error for check in self.checks if check.comparison is comparison)
        return max((error for error in errors if error is not None), default=0.0)


def dump_report(report: VerificationReport) -> str:
    """Readable, stable JSON."""
    return json.dumps({**dataclasses.asdict(report), "passed": report.passed}, indent=2) + "\n"


def parse_report(text: str) -> VerificationReport:
    """The inverse of `dump_report`. Raises KeyError, TypeError or ValueError on anything else."""
    loaded = json.loads(text)
    checks = tuple(Check(**{**entry, "comparison": Comparison(entry["comparison"])}) for entry in loaded["checks"])
    return VerificationReport(loaded["model"], loaded["component"], Tolerance(**loaded["tolerance"]), checks)
