"""What is measured, each in a process of its own."""

from dataclasses import dataclass

from benchmarks.machine import Machine


@dataclass(frozen=True, slots=True)
class Case:
    """A square picture, `side` pixels wide, taken apart into so many layers."""

    layers: int
    side: int


@dataclass(frozen=True, slots=True)
class Grown:
    """Seconds are medians: `step` of one evaluation of the denoiser, `encode` of the picture, `decode` of all layers.

    `tokens`: of the picture, of all frames and of the text. Bytes: `loaded` is what the process holds before its first
    call, `step_bytes` the most beyond it while it evaluated, `all_bytes` while it also encoded and decoded.
    """

    case: Case
    tokens: int
    step: float
    encode: float
    decode: float
    loaded: int
    step_bytes: int
    all_bytes: int


@dataclass(frozen=True, slots=True)
class Stored:
    """The transformer in one kind of numbers: its file's bytes, and errors against float32.

    `velocity`: of the first evaluation, relative. `alpha`, `colour`: mean absolute differences of the decoded layers
    in levels of 255, the colours' weighed by float32's alpha.
    """

    numbers: str
    file_bytes: int
    step: float
    velocity: float
    alpha: float
    colour: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """`runtime` executed what is `grown`; `stored` is always torch's, over so many held-out `pictures`."""

    started: str
    model: str
    runtime: str
    grown: tuple[Grown, ...]
    stored: tuple[Stored, ...]
    pictures: int
    steps: int
    machine: Machine
