"""Everything at once: starts, masks, guidance intervals, step caches, sizes, schedulers and cancels in one batch."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.request import DenoiseRequest, LatentStart
from engine.settings import RuntimeSettings
from engine.step import StepEngine, open_step_engine
from tests.engine.conftest import SETTINGS, SIDE, Recorder, request_of, run
from tests.engine.toy import wait_for

PICTURE = torch.randn(1, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(8))
MASK = torch.eye(SIDE)


def crowd(*, deterministic: bool) -> list[DenoiseRequest]:
    plain = [
        request_of((1, 2, 3), steps=12, scheduler="dpm++_2m_karras", guidance=2.0, prompt=1),
        request_of((4,), steps=9, scheduler="heun", prompt=2),
        request_of((5, 6), steps=14, scheduler="ddim", guidance=3.0, prompt=3),
        request_of((7,), steps=6, scheduler="euler_a", guidance=1.0, prompt=4),
        request_of((8, 9), steps=10, scheduler="unipc", prompt=5),
        request_of((10,), steps=8, scheduler="pndm", size=(6, 10), prompt=6),
        request_of((11,), steps=16, scheduler="dpm++_sde_karras", prompt=7),
    ]
    changed = [
        replace(plain[0], step_cache=0.3),
        replace(plain[1], start=LatentStart(PICTURE, 0.7), guidance_interval=(0.3, 0.8)),
        replace(plain[2], start=LatentStart(PICTURE, 0.9, MASK), step_cache=0.2, guidance_interval=(0.0, 0.6)),
        replace(plain[3], start=LatentStart(PICTURE, 1.0, MASK)),
        replace(plain[4], guidance_interval=(0.5, 1.0), preview_steps=(4,)),
        replace(plain[5], step_cache=1.0),
        plain[6],
    ]
    return [replace(request, deterministic=deterministic) for request in changed]


@pytest.fixture(scope="module", params=[("torch", 1), ("onnxruntime", 2)], ids=["torch", "onnxruntime-lanes"])
def mixed(request: pytest.FixtureRequest, published: Path) -> Iterator[StepEngine]:
    runtime, threads = request.param
    settings = replace(SETTINGS, runtime=RuntimeSettings(threads=threads, device="cpu"))
    engine = open_step_engine(published, runtime, settings)
    yield engine
    engine.close()


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_crowd_gets_what_each_would_get_alone(mixed: StepEngine, deterministic: bool) -> None:
    requests = crowd(deterministic=deterministic)
    before = mixed.metrics().skipped
    alone = [run(mixed, request) for request in requests]
    skipped = mixed.metrics().skipped - before
    assert skipped > 5, "caches that never skip prove nothing"
    recorders = [Recorder() for _ in requests]
    for request, recorder in zip(requests, recorders, strict=True):
        mixed.submit(request, recorder)
    for recorder, expected in zip(recorders, alone, strict=True):
        latents = recorder.result()
        assert recorder.steps == list(range(1, len(recorder.steps) + 1))
        if deterministic:
            assert torch.equal(latents, expected)
        torch.testing.assert_close(latents, expected, atol=1e-3, rtol=1e-3)
    wait_for(lambda: mixed.metrics().active == 0)
    assert mixed.metrics().skipped - before == 2 * skipped


def test_random_cancels_leave_everyone_else_right_and_nothing_behind(mixed: StepEngine) -> None:
    chance = random.Random(5)
    requests = crowd(deterministic=False)
    expected = [run(mixed, request) for request in requests]
    before = mixed.metrics()
    taken = []
    for at in range(21):
        recorder = Recorder()
        if chance.random() < 0.5:
            last = chance.randrange(0, 6)
            recorder.on_step = lambda step, r=recorder, last=last: r.cancel.set() if step >= last else None
        mixed.submit(requests[at % 7], recorder)
        taken.append((at % 7, recorder))
    wait_for(lambda: mixed.metrics().waiting + mixed.metrics().active == 0, 60)
    survivors = 0
    for at, recorder in taken:
        assert recorder.error is None
        if not recorder.cancel.is_set() or recorder.latents is not None:
            survivors += 1
            torch.testing.assert_close(recorder.result(), expected[at], atol=1e-3, rtol=1e-3)
    after = mixed.metrics()
    assert (after.finished - before.finished, after.failed - before.failed) == (survivors, 0)
    assert mixed._held == 0
