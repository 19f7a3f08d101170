"""One part of a model, from whatever files hold it."""

from collections.abc import Callable

import torch
from torch import nn

from engine.checkpoints.architectures import empty_part
from engine.checkpoints.assign import assign
from engine.checkpoints.naming import State, to_diffusers
from engine.checkpoints.tensors import open_tensors
from families.sources.identify import locate_part
from families.sources.read import read_header
from families.sources.weights import PartWeights

Alter = Callable[[nn.Module], None]
"""What a family changes in a library's module, in place, before its tensors are read."""


def open_part(
    weights: PartWeights,
    dtype: torch.dtype = torch.float32,
    *,
    keep_quantised: bool = False,
    alter: Alter | None = None,
) -> nn.Module:
    """diffusers' or transformers' module of a part (unet, vae, text_encoder, text_encoder_2), ready for inference.

    Files are mapped, and only the part's own tensors are read. Where the file has type `dtype` the module's memory is
    the file's: `own_memory` ends that. Raises CheckpointError naming the file and the tensor that does not fit.
    """
    module = empty_part(weights.name, weights.config)
    if alter is not None:
        alter(module)
    files = weights.files if weights.overlay is None else (*weights.files, weights.overlay)
    state: State = {}
    for path in files:
        header = read_header(path)
        located = locate_part(header, weights.name)
        stored = open_tensors(header, located.entries)
        bare = {name.removeprefix(located.part.prefix): value for name, value in stored.items()}
        state.update(to_diffusers(weights.name, located.part.naming, bare, module))
    origin = f"{', '.join(str(path) for path in files)}, {weights.name} as {weights.config} describes it"
    assign(module, state, dtype, keep_quantised=keep_quantised, origin=origin)
    return module


def own_memory(module: nn.Module) -> None:
    """Copy what is mapped from files, one tensor at a time, so that nothing done to a file reaches the module."""
    for owner in module.modules():
        for name, parameter in owner._parameters.items():
            if parameter is not None:
                owner._parameters[name] = nn.Parameter(parameter.detach().clone(), requires_grad=False)
        for name, buffer in owner._buffers.items():
            if buffer is not None:
                owner._buffers[name] = buffer.clone()
