"""The noise schedule of flow models, from diffusers' FlowMatchEulerDiscreteScheduler config."""

from families.errors import ManifestError
from families.manifest import FlowRule, MuRule, NoiseSchedule, Prediction
from families.sources.configs import ConfigFolders

SCHEDULER_FILE = "scheduler/scheduler_config.json"
_SPACINGS = ("invert_sigmas", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "stochastic_sampling")


def flow_schedule(configs: ConfigFolders, dynamic: MuRule, *, linear_sigmas: bool, patch: int = 1) -> NoiseSchedule:
    """`dynamic`: the family's rule where the config wants the shift to follow the size; a fixed shift otherwise.

    `linear_sigmas` and `patch` are those of `families.manifest.FlowRule`. Raises ManifestError naming the key.
    """
    config = configs.read(SCHEDULER_FILE)
    for key in _SPACINGS:
        if config.get(key):
            raise ManifestError(f"{configs.find(SCHEDULER_FILE)}: {key} is not supported for flow models")
    usual = FlowRule()
    terminal = config.get("shift_terminal")
    rule = FlowRule(
        shift=float(config.get("shift", usual.shift)),
        mu=dynamic if config.get("use_dynamic_shifting") else MuRule.FIXED,
        base_shift=float(config.get("base_shift", usual.base_shift)),
        max_shift=float(config.get("max_shift", usual.max_shift)),
        base_tokens=int(config.get("base_image_seq_len", usual.base_tokens)),
        max_tokens=int(config.get("max_image_seq_len", usual.max_tokens)),
        time_shift=str(config.get("time_shift_type", usual.time_shift)),
        terminal=None if terminal is None else float(terminal),
        linear_sigmas=linear_sigmas,
        patch=patch,
    )
    return NoiseSchedule(
        num_train_timesteps=int(config.get("num_train_timesteps", 1000)),
        beta_start=0.0,
        beta_end=0.0,
        beta_schedule="linear",
        prediction=Prediction.FLOW,
        timestep_spacing="linspace",
        steps_offset=0,
        set_alpha_to_one=False,
        flow=rule,
    )
