"""What a verification found: plain data, stored as JSON beside the artefact."""

import dataclasses
import json
from dataclasses import dataclass, field
from enum import StrEnum


class Comparison(StrEnum):
    """What an output was held against."""

    TORCH = "torch"
    ROW_ALONE = "row alone"
    END_TO_END = "end to end"
    FINITE = "finite weights"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is allowed, all of it.

    |value - reference| <= absolute + relative * |reference| for every value (absolute None: whatever it is); at most a
    share `differing` of all values differ; the norm of the difference is at most `norm` times the reference's; pictures
    drawn with the artefact and with torch are alike to `psnr` dB.
    """

    absolute: float | None
    relative: float
    differing: float = 1.0
    norm: float | None = None
    psnr: float = 0.0


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison.

    `error` is the largest absolute difference, None where none can be told; `differing` the share of unequal values;
    `norm` the norm of the difference over the reference's; `psnr` in dB, of pictures alone (None: identical or no
    picture).
    """

    sample: str
    output: str
    comparison: Comparison
    error: float | None
    differing: float
    passed: bool
    problem: str = ""
    norm: float | None = None
    psnr: float | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """Something about the compiled file that a reader wants to know: opset, nodes, bytes, what could not be tried."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many differences lie in [10^(lowest + i), 10^(lowest + i + 1)); the ends take what lies beyond them."""

    lowest: int
    counts: tuple[int, ...]
    equal: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture for the readable report, as PNG."""

    label: str
    png: bytes


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """Every check of one component. `pictures` are for the page alone: the JSON has none."""

    model: str
    component: str
    tolerance: Tolerance
    checks: tuple[Check, ...]
    facts: tuple[Fact, ...] = ()
    histogram: Histogram | None = None
    pictures: tuple[Picture, ...] = field(default=(), compare=False, repr=False)

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

    def lowest_psnr(self) -> float | None:
        """Of the pictures drawn with the artefact, in dB; None where all are identical, or none was drawn."""
        return min((check.psnr for check in self.checks if check.psnr is not None), default=None)


def dump_report(report: VerificationReport) -> str:
    """Readable, stable JSON."""
    plain = dataclasses.asdict(dataclasses.replace(report, pictures=()))
    del plain["pictures"]
    return json.dumps({**plain, "passed": report.passed}, indent=2) + "\n"


def parse_report(text: str) -> VerificationReport:
    """The inverse of `dump_report`. Raises KeyError, TypeError or ValueError on anything else."""
    loaded = json.loads(text)
    checks = tuple(Check(**{**entry, "comparison": Comparison(entry["comparison"])}) for entry in loaded["checks"])
    facts = tuple(Fact(**entry) for entry in loaded.get("facts", ()))
    bins = loaded.get("histogram")
    histogram = Histogram(bins["lowest"], tuple(bins["counts"]), bins["equal"]) if bins else None
    return VerificationReport(
        loaded["model"], loaded["component"], Tolerance(**loaded["tolerance"]), checks, facts, histogram
    )
