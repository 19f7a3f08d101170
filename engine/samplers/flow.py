"""Timesteps of flow models: how the noise levels shift with the size of the picture."""

import math
from typing import Any

import numpy as np
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

from families.manifest import FlowRule, MuRule, NoiseSchedule

# FLUX.2's published fit: mu is linear in the tokens at 10 and at 200 steps, and linear in the steps between them.
_AT_10_STEPS = (8.73809524e-05, 1.89833333)
_AT_200_STEPS = (0.00016927, 0.45666666)
_LARGE = 4300
"""Tokens from which the fit for 200 steps holds for any number of them."""


def flow_scheduler(noise: NoiseSchedule) -> FlowMatchEulerDiscreteScheduler:
    """The scheduler as the model's own pipeline would hold it."""
    rule = noise.flow or FlowRule()
    return FlowMatchEulerDiscreteScheduler(
        num_train_timesteps=noise.num_train_timesteps,
        shift=rule.shift,
        use_dynamic_shifting=rule.mu is not MuRule.FIXED,
        base_shift=rule.base_shift,
        max_shift=rule.max_shift,
        base_image_seq_len=rule.base_tokens,
        max_image_seq_len=rule.max_tokens,
        shift_terminal=rule.terminal,
        time_shift_type=rule.time_shift,
    )


def set_flow_timesteps(scheduler: Any, rule: FlowRule, steps: int, cells: int) -> None:
    """`cells`: latent cells of the picture."""
    tokens = cells // rule.patch**2
    shift = None if rule.mu is MuRule.FIXED else mu(rule, tokens, steps)
    if rule.linear_sigmas:
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / steps, steps), mu=shift)
    else:
        scheduler.set_timesteps(steps, mu=shift)


def mu(rule: FlowRule, tokens: int, steps: int) -> float:
    """The time shift's parameter for a picture of so many tokens."""
    if rule.mu is MuRule.LINEAR:
        slope = (rule.max_shift - rule.base_shift) / (rule.max_tokens - rule.base_tokens)
        return slope * tokens + rule.base_shift - slope * rule.base_tokens
    if rule.mu is MuRule.SQUARE_ROOT:
        return math.sqrt(tokens / rule.base_tokens)
    many = _AT_200_STEPS[0] * tokens + _AT_200_STEPS[1]
    if tokens > _LARGE:
        return many
    few = _AT_10_STEPS[0] * tokens + _AT_10_STEPS[1]
    slope = (many - few) / 190.0
    return slope * steps + many - 200.0 * slope
