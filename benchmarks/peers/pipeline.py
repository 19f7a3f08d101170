"""The diffusers pipeline that all peers run, set up the way its documentation recommends for serving."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LMSDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UniPCMultistepScheduler,
)
from PIL.Image import Image

from benchmarks.machine import usable_cores
from benchmarks.workload import PictureRequest

_DPM: dict[str, Any] = {"algorithm_type": "dpmsolver++", "solver_order": 2}
_SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "dpm++": lambda config: DPMSolverMultistepScheduler.from_config(config, **_DPM),
    "dpm++_karras": lambda config: DPMSolverMultistepScheduler.from_config(config, **_DPM, use_karras_sigmas=True),
    "dpm++_2m_karras": lambda config: DPMSolverMultistepScheduler.from_config(config, **_DPM, use_karras_sigmas=True),
    "euler": EulerDiscreteScheduler.from_config,
    "euler_a": EulerAncestralDiscreteScheduler.from_config,
    "euler_ancestral": EulerAncestralDiscreteScheduler.from_config,
    "heun": HeunDiscreteScheduler.from_config,
    "ddim": DDIMScheduler.from_config,
    "pndm": PNDMScheduler.from_config,
    "lms": LMSDiscreteScheduler.from_config,
    "unipc": UniPCMultistepScheduler.from_config,
}


class Pipeline:
    """One pipeline in float32 on the GPU if there is one, else on all cores. Not thread-safe: callers serialise."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(usable_cores())
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._pipeline = StableDiffusionPipeline.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, safety_checker=None, requires_safety_checker=False
        ).to(self._device)
        self._pipeline.set_progress_bar_config(disable=True)
        self._trained_with = self._pipeline.scheduler.config

    def draw(self, requests: Sequence[PictureRequest]) -> list[Image]:
        """One pipeline call. The requests must agree on all but prompt and seed: a call has one of everything else."""
        first = requests[0]
        self._pipeline.scheduler = make_scheduler(first.scheduler, self._trained_with)
        with torch.inference_mode():
            result = self._pipeline(
                prompt=[request.prompt for request in requests],
                num_inference_steps=first.steps,
                guidance_scale=first.guidance_scale,
                width=first.width,
                height=first.height,
                generator=[torch.Generator("cpu").manual_seed(request.seed) for request in requests],
            )
        images: list[Image] = result.images
        return images


def make_scheduler(name: str, config: Any) -> Any:
    """The diffusers scheduler of that name on the model's noise schedule. Raises ValueError with the known names."""
    maker = _SCHEDULERS.get(name)
    if maker is None:
        raise ValueError(f"the peers do not know the scheduler {name!r}; known are {', '.join(_SCHEDULERS)}")
    return maker(config)
