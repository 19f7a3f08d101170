"""Gives an empty module its tensors: each must be there, of the right shape, and none may be left over."""

import re
from collections.abc import Sequence

import torch
from torch import nn

from engine.checkpoints.naming import State
from engine.checkpoints.quantised import QuantisedLinear, QuantisedTensor
from engine.checkpoints.tensors import Stored
from families.errors import CheckpointError

# Counted, of the image half of CLIP, or a language model's head: checkpoints carry them, the modules here have no use
# for them.
_UNUSED = ("position_ids", "logit_scale", "text_projection.weight", "visual_projection.weight", "lm_head.weight")
IGNORED_KEYS = "_keys_to_ignore_on_load_unexpected"
"""diffusers' and transformers' attribute of a module: patterns of names that files may hold and it has no use for."""
_SHOWN = 3


def assign(module: nn.Module, state: State, dtype: torch.dtype, *, keep_quantised: bool, origin: str) -> None:
    """Fill `module`, whose parameters are empty, in place.

    Tensors of type `dtype` keep the memory that they have, others are converted one by one. `keep_quantised` leaves
    the matrices of linear layers in their blocks; everything else becomes numbers. Raises CheckpointError, which begins
    with `origin`.
    """
    wanted = module.state_dict()
    _check(wanted, state, getattr(module, IGNORED_KEYS, None) or (), origin)
    ready: dict[str, torch.Tensor] = {}
    for name in wanted:
        value = state.pop(name)  # popped, so that a converted tensor's source can go
        owner, _, leaf = name.rpartition(".")
        if keep_quantised and isinstance(value, QuantisedTensor) and leaf == "weight":
            layer = module.get_submodule(owner)
            if isinstance(layer, nn.Linear):
                bias = state.get(f"{owner}.bias")
                module.set_submodule(owner, QuantisedLinear(value, None if bias is None else _numbers(bias, dtype)))
                continue
        ready[name] = _numbers(value, dtype)
    module.load_state_dict(ready, strict=False, assign=True)
    left = [name for name, tensor in module.state_dict().items() if tensor.is_meta]
    if left:
        raise CheckpointError(f"{origin}: no values for {_some(left)}")


def _numbers(value: Stored, dtype: torch.dtype) -> torch.Tensor:
    plain = value.dequantise() if isinstance(value, QuantisedTensor) else value
    return plain.to(dtype)


def _unused(name: str, ignored: Sequence[str]) -> bool:
    return name.endswith(_UNUSED) or any(re.search(pattern, name) for pattern in ignored)


def _check(wanted: dict[str, torch.Tensor], state: State, ignored: Sequence[str], origin: str) -> None:
    """Names and shapes of all tensors; what is not used leaves `state`."""
    for name in [name for name in state if name not in wanted and _unused(name, ignored)]:
        del state[name]
    missing, extra = [name for name in wanted if name not in state], [name for name in state if name not in wanted]
    if missing:
        raise CheckpointError(f"{origin}: {len(missing)} tensors are missing: {_some(missing)}")
    if extra:
        raise CheckpointError(f"{origin}: {len(extra)} tensors have no place in the module: {_some(extra)}")
    for name, tensor in wanted.items():
        if tuple(state[name].shape) != tuple(tensor.shape):
            raise CheckpointError(
                f"{origin}: {name} is {list(state[name].shape)}, the configuration wants {list(tensor.shape)}"
            )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
