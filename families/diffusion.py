"""The noise schedule of diffusion (not flow) models, from diffusers' scheduler config."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from families.errors import ManifestError
from families.manifest import NoiseSchedule, Prediction
from families.schedulers import SchedulerName
from families.sources.configs import ConfigFolders

SCHEDULER_FILE = "scheduler/scheduler_config.json"
# What changes the noise levels themselves, which no sampler here would follow.
_REFUSED = ("trained_betas", "rescale_betas_zero_snr", "sigma_data")
_NAMES: Mapping[str, SchedulerName] = MappingProxyType({
    "DDIMScheduler": SchedulerName.DDIM,
    "EulerAncestralDiscreteScheduler": SchedulerName.EULER_A,
    "EulerDiscreteScheduler": SchedulerName.EULER,
    "HeunDiscreteScheduler": SchedulerName.HEUN,
    "LMSDiscreteScheduler": SchedulerName.LMS,
    "PNDMScheduler": SchedulerName.PNDM,
    "UniPCMultistepScheduler": SchedulerName.UNIPC,
})  # fmt: skip


def diffusion_schedule(configs: ConfigFolders) -> NoiseSchedule:
    """The schedule that the model was trained on. Raises ManifestError naming the key that is not supported."""
    config = configs.read(SCHEDULER_FILE)
    for key in _REFUSED:
        if config.get(key):
            raise ManifestError(f"{configs.find(SCHEDULER_FILE)}: {key} is not supported")
    return NoiseSchedule(
        num_train_timesteps=int(config["num_train_timesteps"]),
        beta_start=float(config["beta_start"]),
        beta_end=float(config["beta_end"]),
        beta_schedule=str(config["beta_schedule"]),
        prediction=Prediction(config.get("prediction_type", Prediction.EPSILON)),
        timestep_spacing=str(config.get("timestep_spacing") or ""),
        steps_offset=int(config.get("steps_offset", 0)),
        set_alpha_to_one=bool(config.get("set_alpha_to_one", False)),
    )


def declared_scheduler(configs: ConfigFolders, otherwise: SchedulerName) -> SchedulerName:
    """The scheduler that the folder names; `otherwise` where it names none or one that is not known here."""
    config = configs.read(SCHEDULER_FILE)
    kind = config.get("_class_name")
    return _multistep(config) if kind == "DPMSolverMultistepScheduler" else _NAMES.get(str(kind), otherwise)


def _multistep(config: dict[str, Any]) -> SchedulerName:
    stochastic = config.get("algorithm_type") == "sde-dpmsolver++"
    if config.get("use_karras_sigmas"):
        return SchedulerName.DPMPP_SDE_KARRAS if stochastic else SchedulerName.DPMPP_KARRAS
    return SchedulerName.DPMPP_SDE if stochastic else SchedulerName.DPMPP
