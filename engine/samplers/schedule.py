"""Timesteps of one (noise schedule, scheduler, step count), built once and copied for every image."""

import copy
import inspect
from dataclasses import dataclass
from functools import lru_cache

from engine.samplers.schedulers import DiffusersScheduler, build_scheduler
from families.manifest import NoiseSchedule, Prediction
from families.schedulers import SchedulerName

# A service sees few pairs of scheduler and step count; an entry is some 50 kB of sigmas and betas.
_CACHED_SCHEDULES = 128


@dataclass(frozen=True, slots=True)
class Schedule:
    """A prototype scheduler and what the engine must know of it without running it.

    `timesteps`: one per denoiser call; `steps_after[i]`: the steps that are done after call i (second-order schedulers
    call twice a step). `takes_generator`: whether its `step` draws noise from a given generator.
    """

    prototype: DiffusersScheduler
    prediction: Prediction
    timesteps: tuple[float, ...]
    steps_after: tuple[int, ...]
    takes_generator: bool

    def scheduler(self) -> DiffusersScheduler:
        """A copy with a state of its own; ten times cheaper than building one."""
        return copy.deepcopy(self.prototype)


@lru_cache(maxsize=_CACHED_SCHEDULES)
def schedule_for(noise: NoiseSchedule, name: SchedulerName, steps: int) -> Schedule:
    """The schedule of `steps` steps. Raises ValueError where diffusers refuses the step count."""
    scheduler = build_scheduler(noise, name)
    try:
        scheduler.set_timesteps(steps)
    except (IndexError, AssertionError) as error:
        raise ValueError(f"{name.value} cannot make a schedule of {steps} steps: {error}") from error
    timesteps = tuple(float(value) for value in scheduler.timesteps)
    return Schedule(
        prototype=scheduler,
        prediction=noise.prediction,
        timesteps=timesteps,
        steps_after=_steps_after(len(timesteps), steps, int(getattr(scheduler, "order", 1))),
        takes_generator="generator" in inspect.signature(scheduler.step).parameters,
    )


def _steps_after(calls: int, steps: int, order: int) -> tuple[int, ...]:
    """Steps done after each call, counted as diffusers' progress bar counts them."""
    warm_up = calls - steps * order
    done = 0
    after = []
    for call in range(1, calls + 1):
        if call > warm_up and call % order == 0:
            done = min(done + 1, steps)
        after.append(steps if call == calls else done)
    return tuple(after)
