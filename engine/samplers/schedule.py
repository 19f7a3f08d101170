"""Timesteps of one (noise schedule, scheduler, step count), built once and copied for every image."""

import copy
import inspect
from dataclasses import dataclass
from functools import lru_cache

from engine.samplers.flow import set_flow_timesteps
from engine.samplers.schedulers import DiffusersScheduler, build_scheduler
from families.manifest import NoiseSchedule, Prediction
from families.schedulers import SchedulerName

# A service sees few pairs of scheduler and step count; an entry is some 50 kB of sigmas and betas.
_CACHED_SCHEDULES = 128


@dataclass(frozen=True, slots=True)
class Schedule:
    """A prototype scheduler and what the engine must know of it without running it.

    `timesteps`: one per denoiser call, the first being number `first` of the prototype's. `steps_after[i]`: the steps
    that are done after call i (second-order schedulers call twice a step). `takes_generator`: whether its `step` draws
    noise from a given generator.
    """

    prototype: DiffusersScheduler
    prediction: Prediction
    first: int
    timesteps: tuple[float, ...]
    steps_after: tuple[int, ...]
    takes_generator: bool

    def scheduler(self) -> DiffusersScheduler:
        """A copy with a state of its own; ten times cheaper than building one."""
        return copy.deepcopy(self.prototype)


@lru_cache(maxsize=_CACHED_SCHEDULES)
def schedule_for(
    noise: NoiseSchedule, name: SchedulerName, steps: int, cells: int, done: int | None = None
) -> Schedule:
    """The schedule of `steps` steps for a picture of so many latent cells.

    `done`: only the last so many steps, at least 1, from a picture; None: all of them, from noise. Raises ValueError
    where diffusers refuses the step count.
    """
    scheduler = build_scheduler(noise, name)
    try:
        if noise.flow is None:
            scheduler.set_timesteps(steps)
        else:
            set_flow_timesteps(scheduler, noise.flow, steps, cells)
    except (IndexError, AssertionError) as error:
        raise ValueError(f"{name.value} cannot make a schedule of {steps} steps: {error}") from error
    order = int(getattr(scheduler, "order", 1))
    first = 0 if done is None else (steps - done) * order
    # Only then do pipelines say where they begin; otherwise schedulers find their place by the first timestep.
    if done is not None and hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    timesteps = tuple(float(value) for value in scheduler.timesteps[first:])
    return Schedule(
        prototype=scheduler,
        prediction=noise.prediction,
        first=first,
        timesteps=timesteps,
        steps_after=_steps_after(len(timesteps), steps if done is None else done, order),
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
