"""What a mask promises, and starts that do not fit; `test_start.py` holds the numbers against diffusers."""

from dataclasses import replace

import pytest
import torch

from engine.errors import InvalidRequestError
from engine.request import LatentStart
from engine.samplers import Sampler, schedule_for
from engine.step import StepEngine
from families.manifest import FlowRule, NoiseSchedule, Prediction
from families.schedulers import SchedulerName
from families.strength import steps_done
from tests.engine.conftest import SIDE, Recorder, request_of, run

PICTURE = torch.randn(1, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
HALF = torch.cat([torch.ones(SIDE // 2, SIDE), torch.zeros(SIDE // 2, SIDE)])


@pytest.mark.parametrize("scheduler", ["dpm++_sde_karras", "heun", "pndm"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_kept_cells_are_the_pictures_own_and_others_are_not(
    torch_engine: StepEngine, scheduler: str, strength: float
) -> None:
    request = request_of((1, 2), steps=6, scheduler=scheduler)
    latents = run(torch_engine, replace(request, start=LatentStart(PICTURE, strength, HALF)))
    kept = HALF.expand_as(latents) == 0
    assert torch.equal(latents[kept], PICTURE.expand_as(latents)[kept])
    assert not torch.isclose(latents[~kept], PICTURE.expand_as(latents)[~kept]).any()
    assert not torch.isclose(latents[0][~kept[0]], latents[1][~kept[0]]).any()


@pytest.mark.parametrize("strength", [0.3, 0.5, 0.75, 1.0])
def test_a_flow_model_from_a_picture(strength: float) -> None:
    """A denoiser that knows the straight line from the picture to the noise: whatever the strength, it goes back."""
    noise = NoiseSchedule(1000, 0, 0, "", Prediction.FLOW, "", 0, set_alpha_to_one=False, flow=FlowRule(shift=3.0))
    done = steps_done(Prediction.FLOW, 6, strength)
    schedule = schedule_for(noise, SchedulerName.FLOW_MATCH_EULER, 6, 64, done)
    whole = schedule_for(noise, SchedulerName.FLOW_MATCH_EULER, 6, 64)
    assert schedule.timesteps == whole.timesteps[6 - done :]
    drawn = torch.randn(1, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
    start = LatentStart(PICTURE, strength)
    sampler = Sampler(schedule, 5, (4, SIDE, SIDE), torch.device("cpu"), start=start)
    level = float(schedule.prototype.sigmas[6 - done])
    torch.testing.assert_close(sampler.latents, level * drawn + (1 - level) * PICTURE)
    while sampler.calls_left:
        sampler.model_input()
        torch.testing.assert_close(sampler.estimate(drawn - PICTURE), PICTURE, atol=1e-5, rtol=1e-5)
        sampler.step(drawn - PICTURE)
    torch.testing.assert_close(sampler.latents, PICTURE, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("prediction", "steps", "strength", "done"),
    [
        (Prediction.EPSILON, 10, 0.7, 7),
        (Prediction.EPSILON, 10, float(torch.tensor(0.7)), 7),
        (Prediction.V, 5, 0.3, 1),
        (Prediction.FLOW, 5, 0.3, 2),
        (Prediction.FLOW, 10, float(torch.tensor(0.3)), 3),
        (Prediction.FLOW, 5, 1.0, 5),
        (Prediction.V, 3, 0.3, 0),
    ],
)
def test_steps_of_a_strength(prediction: Prediction, steps: int, strength: float, done: int) -> None:
    assert steps_done(prediction, steps, strength) == done


NAN = float("nan")
BAD = {
    "strength must be above 0": LatentStart(PICTURE, 0.0),
    "at most 1, got 2": LatentStart(PICTURE, 2.0),
    "strength must": LatentStart(PICTURE, NAN),
    "less than one of 4 steps": LatentStart(PICTURE, 0.2),
    "start latents must have the shape": LatentStart(PICTURE[..., 1:], 1.0),
    "start latents must be FP32": LatentStart(PICTURE.double(), 1.0),
    "start latents must be finite": LatentStart(PICTURE * NAN, 1.0),
    "mask must have the shape": LatentStart(PICTURE, 1.0, HALF[1:]),
    "mask must be FP32": LatentStart(PICTURE, 1.0, HALF.bool()),
    "mask must be finite": LatentStart(PICTURE, 1.0, HALF * NAN),
    "mask must hold numbers from 0 to 1": LatentStart(PICTURE, 1.0, HALF * 255),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_starts_are_named(torch_engine: StepEngine, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        torch_engine.submit(replace(request_of(), start=BAD[message]), Recorder())


def test_previews_are_among_the_steps_that_are_done(torch_engine: StepEngine) -> None:
    request = replace(request_of(steps=8, previews=(5,)), start=LatentStart(PICTURE, 0.5))
    with pytest.raises(InvalidRequestError, match="preview step 5 is not one of the steps 1 to 4"):
        torch_engine.submit(request, Recorder())
    recorder = Recorder()
    torch_engine.submit(replace(request, preview_steps=(2, 4)), recorder)
    final = recorder.result()
    assert recorder.steps == [1, 2, 3, 4]
    torch.testing.assert_close(recorder.previews[4], final, atol=0.05, rtol=0.05)
