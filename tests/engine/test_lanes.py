"""Several lanes: requests ride side by side on cores of their own, and nothing else changes."""

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.errors import EngineClosedError
from engine.settings import RuntimeSettings
from engine.step import StepEngine, open_step_engine
from families.catalog import ModelSource
from families.tensors import Array
from tests.engine.conftest import SETTINGS, Recorder, request_of, run
from tests.engine.test_inflight import CROWD
from tests.engine.toy import ToyRuntime, wait_for

TWO_LANES = replace(SETTINGS, runtime=RuntimeSettings(threads=2, device="cpu"))


class SharingToy(ToyRuntime):
    """The toy, which can also compute beside others, and takes its time: so lanes meet as real ones do."""

    def __init__(self) -> None:
        super().__init__()
        self.alone: list[int] = []
        self.beside: list[tuple[int, bool]] = []
        self.inside = 0
        self.most_inside = 0
        self._lock = threading.Lock()

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        self.alone.append(inputs[0].shape[0])
        return self._compute(inputs)

    def run_beside(self, inputs: Sequence[Array], *, as_alone: bool) -> tuple[Array, ...] | None:
        self.beside.append((inputs[0].shape[0], as_alone))
        return tuple(t.numpy() for t in self._compute([torch.from_numpy(array) for array in inputs]))

    def _compute(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        with self._lock:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        try:
            time.sleep(0.003)
            return super().run(inputs)
        finally:
            with self._lock:
                self.inside -= 1


@pytest.fixture
def toy() -> SharingToy:
    return SharingToy()


@pytest.fixture
def lanes(tiny: ModelSource, toy: SharingToy) -> Iterator[StepEngine]:
    engine = StepEngine(tiny.manifest, toy, TWO_LANES)
    yield engine
    toy.gate.set()
    engine.close()


@pytest.fixture(scope="module")
def real_lanes(published: Path) -> Iterator[StepEngine]:
    engine = open_step_engine(published, "onnxruntime", TWO_LANES)
    yield engine
    engine.close()


def crowd_of(engine: StepEngine, count: int, **changes: object) -> list[Recorder]:
    recorders = [Recorder() for _ in range(count)]
    for at, recorder in enumerate(recorders):
        engine.submit(request_of((at,), prompt=at, **changes), recorder)  # type: ignore[arg-type]
    return recorders


def test_a_lone_request_gets_every_core(lanes: StepEngine, toy: SharingToy) -> None:
    run(lanes, request_of(steps=6))
    assert toy.alone == [2] * 6
    assert not toy.beside


def test_requests_ride_side_by_side_and_share_the_rows(lanes: StepEngine, toy: SharingToy) -> None:
    toy.gate.clear()
    recorders = crowd_of(lanes, 8)
    wait_for(lambda: toy.inside == 2)
    toy.gate.set()
    for recorder in recorders:
        recorder.result()
        assert recorder.steps == [1, 2, 3, 4]
    assert toy.most_inside == 2
    assert max(rows for rows, _ in toy.beside) <= 8, "a lane took more than its part of 16 rows"


def test_a_short_request_gets_every_core_beside_long_ones(lanes: StepEngine, toy: SharingToy) -> None:
    toy.gate.clear()
    longs = crowd_of(lanes, 4, steps=60)
    wait_for(lambda: toy.inside > 0)
    short = Recorder()
    longs_go_on: list[bool] = []
    short.on_step = lambda _: longs_go_on.append(not any(recorder.done.is_set() for recorder in longs))
    lanes.submit(request_of((9,), steps=16, prompt=9), short)
    toy.gate.set()
    short.result()
    # Its first step met calls under way, and a quarter of the time is owed to long ones; by the clock, so give or take.
    assert len(toy.alone) >= 8
    assert longs_go_on[-1]
    for recorder in longs:
        recorder.result()


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priorities of their own")
def test_lanes_give_way_to_everything_else(lanes: StepEngine) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    run(lanes, request_of())
    assert [os.getpriority(os.PRIO_PROCESS, t.native_id or 0) for t in lanes._threads] == [min(19, own + 8)] * 2
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


def test_metrics_count_a_lane_as_its_part(lanes: StepEngine, toy: SharingToy) -> None:
    for recorder in crowd_of(lanes, 6, steps=10):
        recorder.result()
    wait_for(lambda: lanes.metrics().finished == 6)
    metrics = lanes.metrics()
    assert metrics.rows == 6 * 10 * 2
    assert metrics.busy_fraction <= 1.0
    assert metrics.active == metrics.waiting == 0


def test_cancels_and_failures_stay_where_they_belong(lanes: StepEngine, toy: SharingToy) -> None:
    bad = request_of((1,), prompt=77)
    toy.poison = float(bad.conditions[0].tensor[1, 0, 0])
    toy.gate.clear()
    survivors = crowd_of(lanes, 4, steps=8)
    gone, failed = Recorder(), Recorder()
    lanes.submit(request_of((5,), steps=100), gone)
    lanes.submit(bad, failed)
    gone.cancel.set()
    toy.gate.set()
    with pytest.raises(Exception, match="poisoned row"):
        failed.result()
    for recorder in survivors:
        recorder.result()
    wait_for(lambda: lanes.metrics().cancelled == 1)
    assert not gone.done.is_set()
    assert lanes.metrics().active == 0


def test_closing_ends_every_lane(lanes: StepEngine, toy: SharingToy) -> None:
    toy.gate.clear()
    recorders = crowd_of(lanes, 4, steps=50)
    closer = threading.Thread(target=lanes.close)
    closer.start()
    wait_for(lambda: lanes._stopping)
    toy.gate.set()
    closer.join(30)
    for recorder in recorders:
        with pytest.raises(EngineClosedError):
            recorder.result()
    assert not any(thread.is_alive() for thread in lanes._threads)


def test_deterministic_calls_are_cut_as_alone(lanes: StepEngine, toy: SharingToy) -> None:
    toy.gate.clear()
    recorders = crowd_of(lanes, 4, deterministic=True)
    toy.gate.set()
    for recorder in recorders:
        recorder.result()
    assert all(as_alone for _, as_alone in toy.beside)


def test_a_real_crowd_gets_what_each_would_get_alone(real_lanes: StepEngine) -> None:
    alone = [run(real_lanes, request) for request in CROWD]
    recorders = [Recorder() for _ in CROWD]
    for request, recorder in zip(CROWD, recorders, strict=True):
        real_lanes.submit(request, recorder)
    for recorder, expected in zip(recorders, alone, strict=True):
        torch.testing.assert_close(recorder.result(), expected, atol=1e-4, rtol=1e-4)


def test_real_deterministic_bytes_alone_and_among_seven_others(real_lanes: StepEngine) -> None:
    wanted = request_of((11,), steps=6, scheduler="dpm++_sde_karras", deterministic=True)
    alone = run(real_lanes, wanted)
    for order in range(3):
        others = [request_of((s,), steps=3 + s, prompt=s, deterministic=s % 3 > 0) for s in range(7)]
        recorders = []
        for request in [*others[: 2 * order], wanted, *others[2 * order :]]:
            recorder = Recorder()
            real_lanes.submit(request, recorder)
            recorders.append((request, recorder))
        for request, recorder in recorders:
            latents = recorder.result()
            if request is wanted:
                assert torch.equal(latents, alone)
