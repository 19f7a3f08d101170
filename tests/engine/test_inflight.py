"""In-flight batching changes nothing about a picture: in a crowd, deterministically, among cancels."""

import random
from dataclasses import replace

import pytest
import torch

from engine.step import StepEngine
from families.catalog import ModelSource
from tests.engine.conftest import SETTINGS, Recorder, request_of, run
from tests.engine.toy import wait_for

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


def test_previews_are_estimates_of_the_picture(engine: StepEngine) -> None:
    recorder = Recorder()
    engine.submit(request_of((1, 2), steps=8, scheduler="dpm++", previews=(2, 8)), recorder)
    final = recorder.result()
    assert set(recorder.previews) == {2, 8}
    assert recorder.previews[2].shape == final.shape
    torch.testing.assert_close(recorder.previews[8], final, atol=0.05, rtol=0.05)
