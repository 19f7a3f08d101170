"""Guidance for a part of the steps: right numbers, and rows really saved, whoever else is in the batch."""

from dataclasses import replace

import pytest
import torch

from engine.errors import InvalidRequestError
from engine.request import DenoiseRequest
from engine.samplers import Sampler, schedule_for
from engine.step import StepEngine
from engine.step.guidance import rows_of_calls
from families.catalog import ModelSource
from families.schedulers import SchedulerName
from tests.engine.conftest import SETTINGS, SIDE, Recorder, request_of, run
from tests.engine.toy import ToyRuntime, wait_for

MIDDLE = (0.25, 0.75)


def by_hand(unet: torch.nn.Module, source: ModelSource, request: DenoiseRequest) -> torch.Tensor:
    """The same pictures one after another, with guidance by the step's share."""
    schedule = schedule_for(source.manifest.noise, SchedulerName(request.scheduler), request.steps, SIDE * SIDE)
    context = request.conditions[0].tensor
    first, end = (int(share * request.steps) for share in request.guidance_interval)
    pictures = []
    for seed in request.seeds:
        shape = (4, request.latent_height, request.latent_width)
        sampler = Sampler(schedule, seed, shape, torch.device("cpu"))
        while sampler.calls_left:
            sample, timestep = sampler.model_input(), torch.tensor([sampler.timestep])
            negative, positive = (unet(sample, timestep, row[None]) for row in context)
            guided = negative + request.guidance_scale * (positive - negative)
            sampler.step(guided if first <= sampler.steps_done < end else positive)
        pictures.append(sampler.latents)
    return torch.cat(pictures)


@pytest.mark.parametrize("scheduler", ["dpm++_sde_karras", "heun", "pndm"])
@torch.inference_mode()
def test_it_holds_for_its_share_of_the_steps(
    engine: StepEngine, unet: torch.nn.Module, tiny: ModelSource, scheduler: str
) -> None:
    request = replace(request_of((1, 2), steps=8, scheduler=scheduler), guidance_interval=MIDDLE)
    torch.testing.assert_close(run(engine, request), by_hand(unet, tiny, request), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(run(engine, request), run(engine, replace(request, guidance_interval=(0.0, 1.0))))


@pytest.mark.parametrize(
    ("interval", "rows"),
    [
        ((0.0, 1.0), [2] * 10),
        ((0.3, 0.7), [1, 1, 1, 2, 2, 2, 2, 1, 1, 1]),
        ((0.0, float(torch.tensor(0.7))), [2] * 7 + [1] * 3),
        ((0.0, 0.0), [1] * 10),
        ((1.0, 1.0), [1] * 10),
    ],
)
def test_outside_of_it_an_image_takes_one_row(
    tiny: ModelSource, interval: tuple[float, float], rows: list[int]
) -> None:
    toy = ToyRuntime()
    engine = StepEngine(tiny.manifest, toy, SETTINGS)
    try:
        run(engine, replace(request_of(steps=10), guidance_interval=interval))
        assert toy.batches == rows
        wait_for(lambda: engine.metrics().finished == 1)
        assert engine.metrics().rows == sum(rows)
    finally:
        engine.close()


def test_the_two_calls_of_a_second_order_step_are_alike(tiny: ModelSource) -> None:
    schedule = schedule_for(tiny.manifest.noise, SchedulerName.HEUN, 4, SIDE * SIDE)
    request = replace(request_of(steps=4), guidance_interval=(0.5, 1.0))
    assert rows_of_calls(request, tiny.manifest, schedule) == (1, 1, 1, 1, 2, 2, 2)


@pytest.mark.parametrize("deterministic", [False, True])
def test_in_a_crowd_of_other_intervals(torch_engine: StepEngine, deterministic: bool) -> None:
    intervals = [(0.0, 1.0), MIDDLE, (0.5, 1.0), (0.0, 0.5), (0.0, 0.0)]
    requests = [
        replace(request_of((at, at + 9), steps=4 + at, prompt=at, deterministic=deterministic), guidance_interval=share)
        for at, share in enumerate(intervals)
    ]
    alone = [run(torch_engine, request) for request in requests]
    recorders = [Recorder() for _ in requests]
    for request, recorder in zip(requests, recorders, strict=True):
        torch_engine.submit(request, recorder)
    for recorder, expected in zip(recorders, alone, strict=True):
        if deterministic:
            assert torch.equal(recorder.result(), expected)
        torch.testing.assert_close(recorder.result(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("interval", [(0.7, 0.3), (-0.1, 1.0), (0.0, 1.1), (float("nan"), 1.0), (0.0, float("nan"))])
def test_bad_intervals_are_named(torch_engine: StepEngine, interval: tuple[float, float]) -> None:
    with pytest.raises(InvalidRequestError, match="guidance interval"):
        torch_engine.submit(replace(request_of(), guidance_interval=interval), Recorder())
