"""The step cache: what it skips, that it saves rows, and that nobody else in the batch matters."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from engine.errors import InvalidRequestError
from engine.request import DenoiseRequest
from engine.samplers import Sampler, schedule_for
from engine.step import StepEngine
from engine.step.step_cache import StepCache
from families.catalog import ModelSource
from families.manifest import FlowRule, NoiseSchedule, Prediction
from families.schedulers import SchedulerName
from tests.engine.conftest import SETTINGS, SIDE, Recorder, request_of, run
from tests.engine.test_parity import SCHEDULERS
from tests.engine.toy import ToyRuntime, wait_for

SOME = 0.2
"""Skips some calls of the tiny model."""
EVERYTHING = 1e9
"""Skips whatever may be skipped."""


@pytest.fixture
def toy() -> ToyRuntime:
    return ToyRuntime()


@pytest.fixture
def toy_engine(tiny: ModelSource, toy: ToyRuntime) -> Iterator[StepEngine]:
    engine = StepEngine(tiny.manifest, toy, SETTINGS)
    yield engine
    toy.gate.set()
    engine.close()


def cached(request: DenoiseRequest, threshold: float | None = SOME) -> DenoiseRequest:
    return replace(request, step_cache=threshold)


def test_first_two_and_last_call_are_always_evaluated(toy_engine: StepEngine, toy: ToyRuntime) -> None:
    recorder = Recorder()
    toy_engine.submit(cached(request_of((1,), steps=20, previews=(7, 20)), EVERYTHING), recorder)
    latents = recorder.result()
    assert toy.batches == [2, 2, 2]
    assert recorder.steps == list(range(1, 21))
    assert set(recorder.previews) == {7, 20}
    assert torch.isfinite(latents).all()
    wait_for(lambda: toy_engine.metrics().finished == 1)
    assert toy_engine.metrics().skipped == 17
    assert toy_engine.metrics().rows == 6


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_are_all_evaluated(toy_engine: StepEngine, toy: ToyRuntime, steps: int) -> None:
    run(toy_engine, cached(request_of(steps=steps, scheduler="euler"), EVERYTHING))
    assert toy.batches == [2] * steps


@pytest.mark.parametrize("threshold", [None, 0.0])
def test_off_and_zero_change_not_a_bit(engine: StepEngine, threshold: float | None) -> None:
    request = request_of((1, 2), steps=8, scheduler="dpm++_sde_karras", deterministic=True)
    before = engine.metrics().skipped
    assert torch.equal(run(engine, cached(request, threshold)), run(engine, request))
    assert engine.metrics().skipped == before


@torch.inference_mode()
def test_engine_against_one_image_by_hand(engine: StepEngine, unet: torch.nn.Module, tiny: ModelSource) -> None:
    """What rides and what the cache answers, followed outside of the engine."""
    request = cached(request_of((5, 6, 7), steps=20, scheduler="dpm++_2m_karras", guidance=2.0))
    schedule = schedule_for(tiny.manifest.noise, SchedulerName(request.scheduler), request.steps, SIDE * SIDE)
    context = request.conditions[0].tensor
    pictures, skipped = [], []
    for seed in request.seeds:
        sampler = Sampler(schedule, seed, (4, SIDE, SIDE), torch.device("cpu"))
        cache, skips = StepCache(SOME), 0
        while sampler.calls_left:
            if cache.covers(sampler, 2):
                prediction = cache.prediction(sampler)
                skips += 1
            else:
                sample, timestep = sampler.model_input(), torch.tensor([sampler.timestep])
                negative, positive = (unet(sample, timestep, row[None]) for row in context)
                prediction = negative + request.guidance_scale * (positive - negative)
                cache.evaluated(sampler, prediction, 2)
            sampler.step(prediction)
        pictures.append(sampler.latents)
        skipped.append(skips)
    assert 0 < min(skipped) <= max(skipped) < 17, "the threshold proves nothing"
    before = engine.metrics().skipped
    torch.testing.assert_close(run(engine, request), torch.cat(pictures), atol=1e-4, rtol=1e-4)
    assert engine.metrics().skipped - before == sum(skipped)


@pytest.mark.parametrize("prediction", list(Prediction))
def test_where_the_denoiser_knows_the_picture_every_skipped_call_is_right(prediction: Prediction) -> None:
    """Its estimate never changes, so whatever is skipped, the picture is the one with every call evaluated."""
    flow = FlowRule() if prediction is Prediction.FLOW else None
    noise = NoiseSchedule(1000, 0.00085, 0.02, "scaled_linear", prediction, "leading", 1, False, flow)
    name = SchedulerName.EULER if flow is None else SchedulerName.FLOW_MATCH_EULER
    schedule = schedule_for(noise, name, 12, 64)
    target = torch.randn(1, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    ends = []
    for threshold in (0.0, EVERYTHING):
        sampler, cache, asked = Sampler(schedule, 1, (4, SIDE, SIDE), torch.device("cpu")), StepCache(threshold), 0
        while sampler.calls_left:
            assert not cache.covers(sampler, 2), "guidance came or went"
            if cache.covers(sampler, 1):
                answer = cache.prediction(sampler)
                torch.testing.assert_close(sampler.estimate(answer), target, atol=1e-3, rtol=1e-3)
            else:
                sampler.model_input()
                answer = sampler.prediction_of(target)
                cache.evaluated(sampler, answer, 1)
                asked += 1
            sampler.step(answer)
        assert asked == (12 if threshold == 0.0 else 3)
        ends.append(sampler.latents)
    torch.testing.assert_close(*ends, atol=1e-3, rtol=1e-3)


def test_an_estimate_that_moves_moves_on_at_half_its_rate() -> None:
    noise = NoiseSchedule(1000, 0.00085, 0.02, "scaled_linear", Prediction.V, "leading", 1, set_alpha_to_one=False)
    sampler = Sampler(schedule_for(noise, SchedulerName.DDIM, 9, 64), 1, (4, SIDE, SIDE), torch.device("cpu"))
    cache = StepCache(EVERYTHING)
    told: list[tuple[float, float]] = []
    for value in (1.0, 3.0):
        told.append((sampler.log_snr, value))
        sampler.model_input()
        answer = sampler.prediction_of(torch.full((1, 4, SIDE, SIDE), value))
        cache.evaluated(sampler, answer, 1)
        sampler.step(answer)
    assert cache.covers(sampler, 1)
    (first, _), (second, last) = told
    wanted = last + 0.5 * 2.0 * (sampler.log_snr - second) / (second - first)
    estimate = sampler.estimate(cache.prediction(sampler))
    torch.testing.assert_close(estimate, torch.full_like(estimate, wanted), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_with_every_scheduler(torch_engine: StepEngine, scheduler: str) -> None:
    """Those that ask twice at one noise level, keep several answers, or add noise, after which nothing is skipped."""
    request = request_of((1,), steps=24, scheduler=scheduler, guidance=2.0)
    exact, before = run(torch_engine, request), torch_engine.metrics().skipped
    latents = run(torch_engine, cached(request, 0.1))
    adds_noise = "sde" in scheduler or scheduler.startswith("euler_a")
    assert adds_noise or torch_engine.metrics().skipped - before >= 3
    assert (latents - exact).norm() / exact.norm() < 0.1
    assert torch.isfinite(run(torch_engine, cached(request, EVERYTHING))).all()


def test_a_higher_threshold_skips_more_and_drifts_further(torch_engine: StepEngine) -> None:
    request = request_of((3,), steps=25, scheduler="dpm++_2m_karras", guidance=2.0)
    exact, skipped, errors = run(torch_engine, request), [], []
    for threshold in (0.1, 0.4, 1.6):
        before = torch_engine.metrics().skipped
        errors.append(float((run(torch_engine, cached(request, threshold)) - exact).norm() / exact.norm()))
        skipped.append(torch_engine.metrics().skipped - before)
    assert skipped == sorted(skipped)
    assert skipped[0] < skipped[-1]
    assert errors == sorted(errors)
    assert errors[0] < 0.1


def test_a_cancel_takes_effect_between_skipped_calls(toy_engine: StepEngine, toy: ToyRuntime) -> None:
    recorder = Recorder()
    recorder.on_step = lambda step: recorder.cancel.set() if step == 9 else None
    toy_engine.submit(cached(request_of(steps=50), EVERYTHING), recorder)
    wait_for(lambda: toy_engine.metrics().cancelled == 1)
    assert recorder.steps == list(range(1, 10))
    assert toy.batches == [2, 2]


def test_a_switch_of_guidance_is_evaluated(toy_engine: StepEngine, toy: ToyRuntime) -> None:
    request = replace(cached(request_of(steps=20), EVERYTHING), guidance_interval=(0.0, 0.5))
    run(toy_engine, request)
    assert toy.batches == [2, 2, 1, 1, 1]


@pytest.mark.parametrize("threshold", [-0.1, float("nan"), float("inf")])
def test_bad_thresholds_are_named(torch_engine: StepEngine, threshold: float) -> None:
    with pytest.raises(InvalidRequestError, match="step cache threshold"):
        torch_engine.submit(cached(request_of(), threshold), Recorder())
