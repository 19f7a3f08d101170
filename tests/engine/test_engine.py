"""What the engine promises: mixing changes nothing, limits hold, failures stay where they belong."""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from engine.errors import DenoiseError, EngineClosedError, InvalidRequestError, QueueFullError
from engine.request import NamedCondition
from engine.settings import StepSettings
from engine.step import StepEngine
from families.catalog import ModelSource
from families.tensors import Array
from tests.engine.conftest import SETTINGS, Recorder, request_of, run


class ToyRuntime:
    """A real runtime, only without weights: the prediction is a third of the sample. Can be slow, fail, or be wrong."""

    device = "cpu"
    host_threads = 1

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.poison: float | None = None
        self.nan: float | None = None

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        assert self.gate.wait(30)
        sample, _, context = inputs
        self.batches.append(sample.shape[0])
        marks = context[:, 0, 0]
        if self.poison is not None and bool((marks == self.poison).any()):
            raise RuntimeError("poisoned row")
        out = sample / 3
        if self.nan is not None:
            out[marks == self.nan] = float("nan")
        return (out,)

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        raise NotImplementedError


@pytest.fixture
def toy() -> ToyRuntime:
    return ToyRuntime()


@pytest.fixture
def toy_engine(tiny: ModelSource, toy: ToyRuntime):
    engine = StepEngine(tiny.manifest, toy, replace(SETTINGS, queue_images=8, deterministic_rows=8))
    yield engine
    toy.gate.set()
    engine.close()


def wait_for(condition, timeout: float = 10.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


CROWD = [
    request_of((1,), steps=3, scheduler="euler_a", guidance=2.0, prompt=1),
    request_of((2, 3), steps=9, scheduler="dpm++_sde_karras", guidance=7.0, prompt=2),
    request_of((4,), steps=6, scheduler="heun", guidance=1.0, prompt=3),
    request_of((5,), steps=4, scheduler="pndm", size=(6, 10), prompt=4),
    request_of((6, 7, 8), steps=5, scheduler="unipc", prompt=5),
    request_of((9,), steps=12, scheduler="lms", size=(6, 10), guidance=0.0, prompt=6),
]


def test_a_crowd_gets_what_each_would_get_alone(engine: StepEngine) -> None:
    alone = [run(engine, request) for request in CROWD]
    recorders = [Recorder() for _ in CROWD]
    for request, recorder in zip(CROWD, recorders, strict=True):
        engine.submit(request, recorder)
    for request, recorder, expected in zip(CROWD, recorders, alone, strict=True):
        torch.testing.assert_close(recorder.result(), expected, atol=1e-4, rtol=1e-4)
        assert recorder.steps == list(range(1, request.steps + 1))


def test_deterministic_bytes_alone_and_among_seven_others(engine: StepEngine) -> None:
    wanted = request_of((11,), steps=6, scheduler="dpm++_sde_karras", deterministic=True)
    alone = run(engine, wanted)
    for order in range(3):
        others = [
            request_of((seed,), steps=3 + seed, guidance=1.0 + seed % 3, prompt=seed, deterministic=seed % 3 > 0)
            for seed in range(7)
        ]
        recorders = []
        for request in [*others[: 2 * order], wanted, *others[2 * order :]]:
            recorder = Recorder()
            engine.submit(request, recorder)
            recorders.append((request, recorder))
        for request, recorder in recorders:
            latents = recorder.result()
            if request is wanted:
                assert torch.equal(latents, alone)


@pytest.mark.parametrize("rows", [2, 8])
def test_deterministic_bytes_whatever_the_slot(engine: StepEngine, tiny: ModelSource, rows: int) -> None:
    fixed = StepEngine(tiny.manifest, engine._runtime, replace(SETTINGS, deterministic_rows=rows))
    try:
        wanted = request_of((11, 12, 13), steps=5, deterministic=True)
        alone = run(fixed, wanted)
        recorders = [Recorder() for _ in range(8)]
        for at, recorder in enumerate(recorders):
            fixed.submit(wanted if at % 4 == 3 else request_of((at,), steps=5 + at, deterministic=True), recorder)
        for at, recorder in enumerate(recorders):
            if at % 4 == 3:
                assert torch.equal(recorder.result(), alone)
            recorder.result()
        assert (fixed.metrics().padded_rows > 0) == (rows > 2)
    finally:
        fixed.close()


def test_random_cancels_leave_everyone_else_right_and_nothing_behind(engine: StepEngine) -> None:
    chance = random.Random(4)
    expected = {seed: run(engine, request_of((seed,), steps=4 + seed)) for seed in range(4)}
    before = engine.metrics()
    recorders = []
    for at in range(40):
        recorder = Recorder()
        if chance.random() < 0.6:
            last_wish = chance.randrange(0, 4)
            recorder.on_step = lambda step, r=recorder, last=last_wish: r.cancel.set() if step >= last else None
            if last_wish == 0:
                recorder.cancel.set()
        engine.submit(request_of((at % 4,), steps=4 + at % 4), recorder)
        recorders.append((at % 4, recorder))
    wait_for(lambda: engine.metrics().waiting + engine.metrics().active == 0, 60)
    survivors = 0
    for seed, recorder in recorders:
        assert recorder.error is None
        if recorder.cancel.is_set():
            assert recorder.latents is None
        else:
            survivors += 1
            torch.testing.assert_close(recorder.result(), expected[seed], atol=1e-4, rtol=1e-4)
    after = engine.metrics()
    assert after.finished - before.finished == survivors
    assert after.cancelled - before.cancelled == len(recorders) - survivors
    assert engine._held == 0


def test_a_cancel_takes_effect_within_one_step(toy_engine: StepEngine, toy: ToyRuntime) -> None:
    recorder = Recorder()
    recorder.on_step = lambda step: recorder.cancel.set() if step == 2 else None
    toy_engine.submit(request_of(steps=50), recorder)
    wait_for(lambda: toy_engine.metrics().cancelled == 1)
    assert recorder.steps == [1, 2]
    assert len(toy.batches) == 2


def test_a_full_queue_refuses_and_takes_again_when_room_is_made(toy_engine: StepEngine, toy: ToyRuntime) -> None:
    toy.gate.clear()
    recorders = [Recorder() for _ in range(4)]
    for recorder in recorders:
        toy_engine.submit(request_of((1, 2)), recorder)
    with pytest.raises(QueueFullError, match="8 of 8"):
        toy_engine.submit(request_of(), Recorder())
    assert toy_engine.metrics().rejected == 1
    assert toy_engine.metrics().waiting + toy_engine.metrics().active == 8
    toy.gate.set()
    for recorder in recorders:
        recorder.result()
    run(toy_engine, request_of())
    with pytest.raises(InvalidRequestError, match="ever holds"):
        toy_engine.submit(request_of(tuple(range(9))), Recorder())


def test_a_failing_row_fails_its_own_request_only(toy_engine: StepEngine, toy: ToyRuntime) -> None:
    bad = request_of((1,), prompt=1)
    toy.poison = float(bad.conditions[0].tensor[1, 0, 0])
    toy.gate.clear()
    recorders = [Recorder() for _ in range(3)]
    for recorder, request in zip(recorders, [request_of((1,)), bad, request_of((2,))], strict=True):
        toy_engine.submit(request, recorder)
    toy.gate.set()
    recorders[0].result()
    recorders[2].result()
    with pytest.raises(DenoiseError, match="poisoned row"):
        recorders[1].result()
    assert toy_engine.metrics().failed == 1
    run(toy_engine, request_of())


def test_nan_fails_its_own_request_only(toy_engine: StepEngine, toy: ToyRuntime) -> None:
    bad = request_of((1,), prompt=1)
    toy.nan = float(bad.conditions[0].tensor[1, 0, 0])
    toy.gate.clear()
    good, other = Recorder(), Recorder()
    toy_engine.submit(request_of((1,)), good)
    toy_engine.submit(bad, other)
    toy.gate.set()
    assert torch.isfinite(good.result()).all()
    with pytest.raises(DenoiseError, match="not finite"):
        other.result()


@pytest.mark.parametrize("method", ["progress", "preview", "finished", "cancelled"])
def test_a_sink_that_raises_is_dropped(toy_engine: StepEngine, method: str) -> None:
    class Broken(Recorder):
        pass

    def explode(*_: object) -> None:
        raise OSError("nobody listens")

    setattr(Broken, method, explode)
    toy_engine.submit(request_of(previews=(1,)), Broken())
    run(toy_engine, request_of())
    wait_for(lambda: toy_engine.metrics().waiting + toy_engine.metrics().active == 0)
    assert toy_engine.metrics().finished == 1


def test_images_beyond_one_batch_advance_together(toy_engine: StepEngine) -> None:
    recorder = Recorder()
    toy_engine.submit(request_of(tuple(range(7)), steps=5, previews=(3,)), recorder)
    together = recorder.result()
    assert together.shape[0] == 7
    assert recorder.steps == [1, 2, 3, 4, 5]
    assert recorder.previews[3].shape == together.shape
    torch.testing.assert_close(together[4:5], run(toy_engine, request_of((4,), steps=5)))


def test_previews_are_estimates_of_the_picture(engine: StepEngine) -> None:
    recorder = Recorder()
    engine.submit(request_of((1, 2), steps=8, scheduler="dpm++", previews=(2, 8)), recorder)
    final = recorder.result()
    assert set(recorder.previews) == {2, 8}
    assert recorder.previews[2].shape == final.shape
    torch.testing.assert_close(recorder.previews[8], final, atol=0.05, rtol=0.05)


def test_metrics_count(toy_engine: StepEngine) -> None:
    run(toy_engine, request_of((1,), steps=3))
    run(toy_engine, request_of((1,), steps=3, deterministic=True))
    wait_for(lambda: toy_engine.metrics().finished == 2)
    metrics = toy_engine.metrics()
    assert (metrics.ticks, metrics.rows) == (6, 12)
    assert metrics.padded_rows == 3 * (8 - 2)
    assert 0 < metrics.busy_fraction <= 1
    assert metrics.runtime_seconds <= metrics.busy_seconds
    assert (metrics.active, metrics.waiting, metrics.queued_seconds) == (0, 0, 0.0)


def test_drain_finishes_what_is_there_and_takes_nothing_new(toy_engine: StepEngine, toy: ToyRuntime) -> None:
    toy.gate.clear()
    recorder = Recorder()
    toy_engine.submit(request_of(), recorder)
    assert not toy_engine.drain(0.05)
    with pytest.raises(EngineClosedError):
        toy_engine.submit(request_of(), Recorder())
    toy.gate.set()
    assert toy_engine.drain(10)
    assert recorder.result() is not None


def test_close_fails_what_is_left_and_ends_the_thread(tiny: ModelSource, toy: ToyRuntime) -> None:
    engine = StepEngine(tiny.manifest, toy, SETTINGS)
    recorder = Recorder()
    recorder.on_step = lambda step: toy.gate.clear() if step == 2 else None
    engine.submit(request_of(steps=50), recorder)
    wait_for(lambda: len(recorder.steps) >= 2)
    threading.Timer(0.1, toy.gate.set).start()
    engine.close()
    with pytest.raises(EngineClosedError):
        recorder.result()
    assert not engine._thread.is_alive()
    engine.close()


BAD = {
    "seeds": replace(request_of(), seeds=()),
    "64 bits": replace(request_of(), seeds=(2**64,)),
    "steps must": replace(request_of(), steps=0),
    "1000": replace(request_of(), steps=1001),
    "guidance scale": replace(request_of(), guidance_scale=float("nan")),
    "latent sides": replace(request_of(), latent_width=0),
    "from 1 to 256": replace(request_of(), latent_height=257),
    "preview step 9": replace(request_of(), preview_steps=(9,)),
    "supported are dpm": replace(request_of(), scheduler="nope"),
    "does not fit this model": replace(request_of(), scheduler="flow_match_euler"),
    "conditions must be": replace(request_of(), conditions=()),
    "axis of 1 or 2": replace(request_of(), conditions=(NamedCondition("context", torch.zeros(3, 16, 32)),)),
    "negative and positive": replace(request_of(), conditions=(NamedCondition("context", torch.zeros(1, 16, 32)),)),
    "must have the shape": replace(request_of(), conditions=(NamedCondition("context", torch.zeros(2, 15, 32)),)),
    "must be FP32": replace(request_of(), conditions=(NamedCondition("context", torch.zeros(2, 16, 32).half()),)),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_values_are_named(toy_engine: StepEngine, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        toy_engine.submit(BAD[message], Recorder())


def test_warm_up_measures_what_batches_cost(tiny: ModelSource, toy: ToyRuntime) -> None:
    engine = StepEngine(tiny.manifest, toy, StepSettings(max_rows=12))
    try:
        assert sorted(set(toy.batches)) == [1, 2, 4, 8, 12]
    finally:
        engine.close()
