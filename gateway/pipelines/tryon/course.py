"""How far a try-on is: times of its stages, the share that is done, and who is told of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.domain.errors import GatewayError
from gateway.domain.telemetry import Stage, Telemetry
from gateway.domain.tryon import StageTiming, TryOnListener, TryOnStage
from gateway.domain.tryon_errors import PipelineError

_SHARES = {
    TryOnStage.LOAD: 2,
    TryOnStage.PARSE: 4,
    TryOnStage.GARMENT: 3,
    TryOnStage.CROP: 1,
    TryOnStage.MASK: 1,
    TryOnStage.GENERATE: 60,
    TryOnStage.SCORE: 10,
    TryOnStage.REFINE: 20,
    TryOnStage.RESTORE: 2,
    TryOnStage.ENCODE: 2,
}
"""Of the time, roughly."""


class Course:
    """Of one try-on; on the event loop."""

    def __init__(self, stages: tuple[TryOnStage, ...], telemetry: Telemetry, listener: TryOnListener | None) -> None:
        """`stages` will be gone through, some of them more than once."""
        self._telemetry = telemetry
        self._listener = listener
        self._whole = sum(_SHARES[stage] for stage in stages)
        self._done = 0.0
        self._told = 0.0
        self._seconds: dict[TryOnStage, float] = {}

    @contextmanager
    def stage(self, stage: TryOnStage) -> Iterator[None]:
        """Time what is done in here. Raises PipelineError for what fails and says no more than a traceback."""
        if self._listener is not None:
            self._listener.stage_began(stage)
        begun = time.monotonic()
        try:
            yield
        except GatewayError:
            raise
        except Exception as error:
            raise PipelineError(f"the try-on failed at the stage {stage}; the server's log says more") from error
        seconds = time.monotonic() - begun
        self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds
        self._telemetry.stage(Stage(f"tryon_{stage}"), seconds)
        self._done += _SHARES[stage]
        if self._listener is not None:
            self._listener.stage_ended(stage, seconds)
        self._tell(self._done)

    def within(self, stage: TryOnStage, share: float) -> None:
        """So much of the stage at hand is done, 0 to 1."""
        self._tell(self._done + _SHARES[stage] * share)

    @property
    def timings(self) -> tuple[StageTiming, ...]:
        """Of the stages that ended, in order."""
        return tuple(StageTiming(stage, self._seconds[stage]) for stage in TryOnStage if stage in self._seconds)

    def _tell(self, done: float) -> None:
        share = min(1.0, done / self._whole)
        if self._listener is not None and share > self._told:
            self._told = share
            self._listener.progress(share)
