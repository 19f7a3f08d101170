"""What a denoiser call costs: measured at warm-up, followed while serving."""

from bisect import bisect_left
from dataclasses import dataclass, field

from engine.step.bucket import Bucket, RowLimits

# How fast a bucket's level follows what the machine does now (neighbours, clocks), and its shape what the graph does.
# The shape must be far slower: while the level catches up with a change, some of it leaks into the shape.
_LEVEL_WEIGHT = 0.2
_SHAPE_WEIGHT = 0.002
# Calls that a warm-up's measurement counts as: it is the best of several on a quiet engine.
_TRUSTED = 500
# Before anything was measured: a millisecond a row, which only has to order requests sensibly.
_GUESS = {1: 1e-3, 2: 2e-3}


@dataclass(slots=True)
class _Curve:
    """Seconds by rows = level x shape(rows). Contention scales every point: the level keeps it out of the shape."""

    shape: dict[int, float]
    level: float = 1.0
    counts: dict[int, int] = field(default_factory=dict)

    def seconds(self, rows: int) -> float:
        return self.level * self.relative(rows)

    def relative(self, rows: int) -> float:
        """The shape at `rows`: interpolated between measured points, and beyond them along the last segment."""
        known = sorted(self.shape)
        at = bisect_left(known, rows)
        if at < len(known) and known[at] == rows:
            return self.shape[rows]
        if len(known) == 1:
            return self.shape[known[0]] * rows / known[0]
        low, high = (known[at - 1], known[at]) if 0 < at < len(known) else (known[-2], known[-1])
        if at == 0:
            return self.shape[known[0]]
        slope = (self.shape[high] - self.shape[low]) / (high - low)
        return max(self.shape[low] + slope * (rows - low), 1e-9)

    def learn(self, rows: int, seconds: float) -> None:
        expected = self.relative(rows)
        count = self.counts.get(rows, 0) + 1
        self.counts[rows] = count
        weight = max(_SHAPE_WEIGHT, 1.0 / (count + 1))
        self.shape[rows] = expected + weight * (seconds / self.level - expected)
        self.level += _LEVEL_WEIGHT * (seconds / expected - self.level)


class CostModel:
    """Seconds a call of so many rows takes, per bucket, and the batch size worth going to."""

    def __init__(self, limits: RowLimits, throughput_slack: float) -> None:
        self._limits = limits
        self._slack = throughput_slack
        self._curves: dict[Bucket, _Curve] = {}
        self._reference = _Curve(dict(_GUESS))
        self._reference_cells = limits.reference_cells

    def measured(self, bucket: Bucket, points: dict[int, float]) -> None:
        """Take warm-up's seconds by rows as this bucket's curve and as the pattern for buckets not yet seen."""
        self._reference = _Curve(dict(points))
        self._reference_cells = bucket.cells
        self._curves[bucket] = _Curve(dict(points), counts=dict.fromkeys(points, _TRUSTED))

    def seconds(self, bucket: Bucket, rows: int) -> float:
        """Expected seconds of one call with `rows` rows; deterministic batches always pay their fixed size."""
        padded = self._limits.hard(bucket) if bucket.deterministic else rows
        return self._curve(bucket).seconds(padded)

    def learn(self, bucket: Bucket, rows: int, seconds: float) -> None:
        """One call of `rows` rows (padding included) took `seconds`."""
        self._curve(bucket).learn(rows, seconds)

    def cap(self, bucket: Bucket) -> int:
        """The fewest rows whose rows per second come within the slack of the best; hard limits hold.

        Fewer rows mean shorter ticks, so a newcomer waits less for no loss of throughput worth the name.
        """
        hard = self._limits.hard(bucket)
        if bucket.deterministic:
            return hard
        curve = self._curve(bucket)
        candidates = sorted({*(rows for rows in curve.shape if rows <= hard), hard})
        rates = {rows: rows / curve.relative(rows) for rows in candidates}
        enough = (1.0 - self._slack) * max(rates.values())
        # One guided image is two rows: a cap below that would be no cap at all.
        return max(min(2, hard), next(rows for rows in candidates if rates[rows] >= enough))

    def _curve(self, bucket: Bucket) -> _Curve:
        curve = self._curves.get(bucket)
        if curve is None:
            scale = bucket.cells / self._reference_cells
            curve = _Curve({rows: seconds * scale for rows, seconds in self._reference.shape.items()})
            self._curves[bucket] = curve
        return curve
