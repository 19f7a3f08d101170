"""What a run found; the JSON file's layout."""

from dataclasses import dataclass

from benchmarks.machine import Machine


@dataclass(frozen=True, slots=True)
class ExportStep:
    """Weights to ONNX. `peak_bytes` is the whole process's, libraries included; `cpu_seconds` too, on any core.

    `seconds` is the wall's clock: on a busy machine more than `cpu_seconds`.
    """

    parameters: int
    weight_bytes: int
    fill_seconds: float
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    onnx_bytes: int
    nodes: int


@dataclass(frozen=True, slots=True)
class ErrorStep:
    """ONNX Runtime's output against torch's in float32. `relative` is of its norm, `scale` its largest value."""

    shapes: tuple[tuple[int, ...], ...]
    largest: float
    relative: float
    scale: float
    finite: bool
    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class EngineStep:
    """ONNX to an engine; it was not executed."""

    library: str
    compute_capabilities: tuple[str, ...]
    profile: tuple[str, ...]
    layers: int
    plan_bytes: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One item, and of what state of the code. A step that failed is None and `problem` says why."""

    key: str
    title: str
    precision: str
    started: str
    commit: str
    export: ExportStep | None
    error: ErrorStep | None
    engine: EngineStep | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Every item that was run, each the latest of its key, on one machine."""

    machine: Machine
    outcomes: tuple[Outcome, ...]
