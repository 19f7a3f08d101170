"""Samplers: schedules, coefficients and the denoised estimate."""

import numpy as np
import pytest
import torch

from engine.samplers import Sampler, build_scheduler, schedule_for
from families.catalog import ModelSource
from families.manifest import NoiseSchedule, Prediction
from families.schedulers import SchedulerName, supported_schedulers

DIFFUSION = supported_schedulers(Prediction.V)
SHAPE = (4, 6, 6)
CPU = torch.device("cpu")


def noise_of(prediction: Prediction) -> NoiseSchedule:
    return NoiseSchedule(1000, 0.00085, 0.02, "scaled_linear", prediction, "leading", 1, set_alpha_to_one=False)


@pytest.mark.parametrize("prediction", [Prediction.V, Prediction.EPSILON])
@pytest.mark.parametrize("name", DIFFUSION)
def test_the_estimate_is_x0_when_the_model_knows_it(name: SchedulerName, prediction: Prediction) -> None:
    """A denoiser that knows the picture: every estimate is that picture, and so is the end."""
    target = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(5))
    sampler = Sampler(schedule_for(noise_of(prediction), name, 12, 64), 3, SHAPE, CPU)
    while sampler.calls_left:
        seen = sampler.model_input()
        alpha, sigma = sampler._signal_and_noise()
        epsilon = (seen - alpha * target) / sigma
        answer = alpha * epsilon - sigma * target if prediction is Prediction.V else epsilon
        torch.testing.assert_close(sampler.estimate(answer), target, atol=1e-4, rtol=1e-4)
        sampler.step(answer)
    assert sampler.steps_done == 12
    torch.testing.assert_close(sampler.latents, target, atol=0.15, rtol=0.1)


def test_flow_models() -> None:
    target = torch.ones(1, *SHAPE)
    schedule = schedule_for(noise_of(Prediction.FLOW), SchedulerName.FLOW_MATCH_EULER, 5, 64)
    sampler = Sampler(schedule, 0, SHAPE, CPU)
    start = sampler.latents
    while sampler.calls_left:
        sampler.model_input()
        torch.testing.assert_close(sampler.estimate(start - target), target)
        sampler.step(start - target)
    torch.testing.assert_close(sampler.latents, target)


@pytest.mark.parametrize("name", DIFFUSION)
@pytest.mark.parametrize("steps", [1, 2, 3, 50])
def test_steps_are_counted_as_users_count_them(name: SchedulerName, steps: int) -> None:
    schedule = schedule_for(noise_of(Prediction.V), name, steps, 64)
    assert schedule.steps_after[-1] == steps
    assert list(schedule.steps_after) == sorted(schedule.steps_after)
    assert set(range(1, steps + 1)) <= set(schedule.steps_after)


def test_lms_coefficients_are_the_exact_integrals() -> None:
    scheduler = build_scheduler(noise_of(Prediction.V), SchedulerName.LMS)
    scheduler.set_timesteps(10)
    sigmas = scheduler.sigmas.numpy().astype(np.float64)
    for t in range(10):
        order = min(t + 1, 4)
        for own in range(order):
            basis = np.polynomial.Polynomial([1.0])
            for k in range(order):
                if k != own:
                    basis *= np.polynomial.Polynomial([-sigmas[t - k], 1.0]) / (sigmas[t - own] - sigmas[t - k])
            integral = basis.integ()
            expected = integral(sigmas[t + 1]) - integral(sigmas[t])
            assert scheduler.get_lms_coefficient(order, t, own) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_aliases_are_the_same_scheduler(tiny: ModelSource) -> None:
    pairs = [("dpm++_karras", "dpm++_2m_karras"), ("euler_a", "euler_ancestral")]
    for one, other in pairs:
        first = build_scheduler(tiny.manifest.noise, SchedulerName(one))
        second = build_scheduler(tiny.manifest.noise, SchedulerName(other))
        assert type(first) is type(second)
        assert first.config == second.config


def test_one_image_leaves_no_trace_in_the_next() -> None:
    schedule = schedule_for(noise_of(Prediction.V), SchedulerName.DPMPP_SDE_KARRAS, 6, 64)
    results = []
    for _ in range(2):
        sampler = Sampler(schedule, 9, SHAPE, CPU)
        while sampler.calls_left:
            sampler.step(sampler.model_input() * 0.3)
        results.append(sampler.latents)
    assert torch.equal(*results)
