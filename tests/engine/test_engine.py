"""What the engine promises: limits hold, failures stay where they belong, and it ends when told to."""

import threading
from dataclasses import replace

import pytest
import torch

from engine.errors import DenoiseError, EngineClosedError, InvalidRequestError, QueueFullError
from engine.request import NamedCondition
from engine.settings import StepSettings
from engine.step import StepEngine
from families.catalog import ModelSource
from tests.engine.conftest import SETTINGS, Recorder, request_of, run
from tests.engine.toy import ToyRuntime, wait_for


@pytest.fixture
def toy() -> ToyRuntime:
    return ToyRuntime()


@pytest.fixture
def toy_engine(tiny: ModelSource, toy: ToyRuntime):
    engine = StepEngine(tiny.manifest, toy, replace(SETTINGS, queue_images=8, deterministic_rows=8))
    yield engine
    toy.gate.set()
    engine.close()


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
    closer = threading.Thread(target=engine.close)
    closer.start()
    wait_for(lambda: engine._stopping)
    toy.gate.set()
    closer.join(30)
    with pytest.raises(EngineClosedError):
        recorder.result()
    assert not any(thread.is_alive() for thread in engine._threads)
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
    "must have the shape": replace(request_of(), conditions=(NamedCondition("context", torch.zeros(2, 16, 31)),)),
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
