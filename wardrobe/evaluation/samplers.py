"""The samplers worth comparing, as diffusers has them."""

from collections.abc import Callable, Mapping
from typing import Protocol

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)


class Scheduler(Protocol):
    """What all diffusers schedulers share here."""

    config: Mapping[str, object]


SAMPLERS: dict[str, Callable[[Mapping[str, object]], Scheduler]] = {
    "ddim": DDIMScheduler.from_config,
    "euler": EulerDiscreteScheduler.from_config,
    "heun": HeunDiscreteScheduler.from_config,
    "lms": LMSDiscreteScheduler.from_config,
    "pndm": PNDMScheduler.from_config,
    "unipc": UniPCMultistepScheduler.from_config,
    "dpm++_2m": DPMSolverMultistepScheduler.from_config,
    "dpm++_2m_karras": lambda config: DPMSolverMultistepScheduler.from_config(config, use_karras_sigmas=True),
    "dpm++_sde_karras": lambda config: DPMSolverMultistepScheduler.from_config(
        config, algorithm_type="sde-dpmsolver++", use_karras_sigmas=True
    ),
}
