"""ALICE's scheduler names as diffusers scheduler objects."""

from collections.abc import Callable
from typing import Any

# Classes are imported from their modules: the package's top level hides some behind optional libraries.
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_ancestral_discrete import EulerAncestralDiscreteScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from diffusers.schedulers.scheduling_heun_discrete import HeunDiscreteScheduler
from diffusers.schedulers.scheduling_pndm import PNDMScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

from engine.samplers.flow import flow_scheduler
from engine.samplers.lms import ExactLmsScheduler
from families.manifest import NoiseSchedule
from families.schedulers import SchedulerName

DiffusersScheduler = Any
"""One of diffusers' scheduler objects; they share method names but no typed base."""


def _common(noise: NoiseSchedule) -> dict[str, Any]:
    """Arguments which every scheduler of a diffusion (not flow) model takes."""
    spacing = {"timestep_spacing": noise.timestep_spacing} if noise.timestep_spacing else {}
    return {
        "num_train_timesteps": noise.num_train_timesteps,
        "beta_start": noise.beta_start,
        "beta_end": noise.beta_end,
        "beta_schedule": noise.beta_schedule,
        "prediction_type": noise.prediction.value,
        "steps_offset": noise.steps_offset,
        **spacing,
    }


def _dpm(algorithm: str, *, karras: bool) -> Callable[[NoiseSchedule], DiffusersScheduler]:
    return lambda noise: DPMSolverMultistepScheduler(
        **_common(noise), algorithm_type=algorithm, use_karras_sigmas=karras
    )


def _ddim(noise: NoiseSchedule) -> DiffusersScheduler:
    # Latents are not pictures: clipping them to [-1, 1], diffusers' default, would be wrong.
    return DDIMScheduler(**_common(noise), clip_sample=False, set_alpha_to_one=noise.set_alpha_to_one)


def _pndm(noise: NoiseSchedule) -> DiffusersScheduler:
    return PNDMScheduler(**_common(noise), skip_prk_steps=True, set_alpha_to_one=noise.set_alpha_to_one)


_BUILDERS: dict[SchedulerName, Callable[[NoiseSchedule], DiffusersScheduler]] = {
    SchedulerName.DPMPP: _dpm("dpmsolver++", karras=False),
    SchedulerName.DPMPP_KARRAS: _dpm("dpmsolver++", karras=True),
    SchedulerName.DPMPP_2M_KARRAS: _dpm("dpmsolver++", karras=True),
    SchedulerName.DPMPP_SDE: _dpm("sde-dpmsolver++", karras=False),
    SchedulerName.DPMPP_SDE_KARRAS: _dpm("sde-dpmsolver++", karras=True),
    SchedulerName.EULER: lambda noise: EulerDiscreteScheduler(**_common(noise)),
    SchedulerName.EULER_A: lambda noise: EulerAncestralDiscreteScheduler(**_common(noise)),
    SchedulerName.EULER_ANCESTRAL: lambda noise: EulerAncestralDiscreteScheduler(**_common(noise)),
    SchedulerName.HEUN: lambda noise: HeunDiscreteScheduler(**_common(noise)),
    SchedulerName.DDIM: _ddim,
    SchedulerName.PNDM: _pndm,
    SchedulerName.LMS: lambda noise: ExactLmsScheduler(**_common(noise)),
    SchedulerName.UNIPC: lambda noise: UniPCMultistepScheduler(**_common(noise)),
    SchedulerName.FLOW_MATCH_EULER: flow_scheduler,
}


def build_scheduler(noise: NoiseSchedule, name: SchedulerName) -> DiffusersScheduler:
    """A fresh scheduler without timesteps, as a diffusers pipeline would hold it."""
    return _BUILDERS[name](noise)
