"""One image's step cache: whether the next denoiser call would say anything new, and what it says if not.

How much the denoiser's answer changes for how much its input changes is known from the last two evaluations; calls are
skipped as long as the changes of the input since then, added up, say that the answer has moved by less than the
threshold (EasyCache's criterion, Zhou et al., 2025, which every kind of prediction shares here: it is asked of the
velocity). A skipped call is answered from the denoised estimate x0, which moves on at half the rate of its last change.
All of it looks at inputs and outputs alone: any runtime will do, and nothing depends on who else is in the batch.
"""

import torch

from engine.samplers import Sampler

_TREND = 0.5
"""Of x0's last change by log-SNR. On the embedded model, 25 steps, half of the calls skipped, PSNR in dB against every
call evaluated: 45 with DPM++ 2M (39 with none of the change, 40 with all of it), 40 with Euler (37 and 43)."""


class StepCache:
    """Lives and dies with its image. The first two calls and the last one are always evaluated."""

    def __init__(self, threshold: float) -> None:
        """`threshold`: the velocity's change, relative to its norm, up to which calls are skipped."""
        self._threshold = threshold
        self._last: _Evaluation | None = None
        self._sensitivity: float | None = None
        self._trend: torch.Tensor | None = None
        self._passed: torch.Tensor | None = None
        self._change = 0.0

    def evaluated(self, sampler: Sampler, prediction: torch.Tensor, rows: int) -> None:
        """The denoiser has answered the sampler's present call with `rows` rows; ask before the sampler steps."""
        now = _Evaluation(sampler, prediction, rows)
        before, self._last = self._last, now
        self._sensitivity, self._trend, self._passed, self._change = None, None, now.seen, 0.0
        # What guidance does to the answer no call without it knows, nor the other way round.
        if before is not None and before.rows == rows:
            self._sensitivity = _distance(now.velocity, before.velocity) / _distance(now.seen, before.seen)
            gap = now.log_snr - before.log_snr
            # Some schedulers ask twice at one noise level.
            self._trend = (now.estimate - before.estimate) / gap if gap > 0 else torch.zeros_like(now.estimate)

    def covers(self, sampler: Sampler, rows: int) -> bool:
        """Whether the sampler's next call, of `rows` rows, may be answered by `prediction`. Ask once a call."""
        last, passed = self._last, self._passed
        if last is None or passed is None or self._sensitivity is None or rows != last.rows or sampler.calls_left < 2:
            return False
        self._passed = sampler.model_input()
        self._change += self._sensitivity * _distance(self._passed, passed) / last.size
        return self._change < self._threshold

    def prediction(self, sampler: Sampler) -> torch.Tensor:
        """The denoiser's answer as the last ones suggest it. Only where the cache covers the call."""
        assert self._last is not None
        assert self._trend is not None
        ahead = _TREND * (sampler.log_snr - self._last.log_snr)
        return sampler.prediction_of(self._last.estimate + ahead * self._trend)


class _Evaluation:
    """What the denoiser saw and said."""

    def __init__(self, sampler: Sampler, prediction: torch.Tensor, rows: int) -> None:
        self.rows = rows
        self.seen = sampler.model_input()
        self.estimate = sampler.estimate(prediction)
        self.velocity = sampler.velocity_of(self.estimate)
        self.size = float(torch.linalg.vector_norm(self.velocity))
        self.log_snr = sampler.log_snr


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Never 0, by which others are divided."""
    return max(float(torch.linalg.vector_norm(one - other)), 1e-12)
