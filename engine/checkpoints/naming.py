"""Turns a part's tensors into diffusers' names, with diffusers' own conversions."""

import re
from collections.abc import Callable
from typing import Any

from diffusers.loaders import single_file_utils
from torch import nn

from engine.checkpoints.tensors import Stored
from families.errors import CheckpointError
from families.sources.signatures import Naming

State = dict[str, Stored]
_Converter = Callable[[State, nn.Module], State]

_UNET_PREFIX, _VAE_PREFIX = "model.diffusion_model.", "first_stage_model."
_SELF_ATTENTION = ".attn1"
_QUERY = re.compile(r"(\d+)\.to_q\.weight")
_TEXT_PREFIX, _LANGUAGE_PREFIX = "text_model.", "model."


def to_diffusers(part: str, naming: Naming, state: State, module: nn.Module) -> State:
    """Rename `state`, whose names have no prefix any more, for `module`."""
    convert = _CONVERTERS.get((part, naming))
    converted = convert(state, module) if convert is not None else dict(state)
    _modernise(converted, module)
    return _tied(_wrapped(converted, module), module)


def _ldm_unet(state: State, module: nn.Module) -> State:
    prefixed = {_UNET_PREFIX + name: value for name, value in state.items()}
    made: State = single_file_utils.convert_ldm_unet_checkpoint(prefixed, _config(module))
    return {name: value for name, value in made.items() if value is not None}


def _ldm_vae(state: State, module: nn.Module) -> State:
    prefixed = {_VAE_PREFIX + name: value for name, value in state.items()}
    made: State = single_file_utils.convert_ldm_vae_checkpoint(prefixed, _config(module))
    return {name: value for name, value in made.items() if value is not None}


def _open_clip(state: State, module: nn.Module) -> State:
    made: State = single_file_utils.convert_open_clip_checkpoint(module, dict(state), prefix="")
    return made


def _ldm_transformer(state: State, module: nn.Module) -> State:
    """One naming for each architecture. What does not fit stays as it is: the module's names are then missing."""
    convert = _TRANSFORMERS.get(type(module).__name__)
    try:
        made: State = dict(state) if convert is None else convert(dict(state))
    except (KeyError, ValueError):
        return dict(state)
    return made


_TRANSFORMERS: dict[str, Callable[[State], Any]] = {
    "Flux2Transformer2DModel": single_file_utils.convert_flux2_transformer_checkpoint_to_diffusers,
    "SD3Transformer2DModel": single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers,
}


def _numbered_attention(state: State, module: nn.Module) -> State:
    """CatVTON's list of self-attentions: the order is the module's own. Its authors' list also holds each layer of an
    attention as an entry of its own, so numbers have gaps, and what has no query is a second name of what has one.
    """
    found = {int(match[1]) for name in state if (match := _QUERY.fullmatch(name))}
    paths = [path for path, _ in module.named_modules() if path.endswith(_SELF_ATTENTION)]
    if len(found) != len(paths):
        raise CheckpointError(f"it lists {len(found)} self-attentions, and the module has {len(paths)}")
    places = {str(number): path for number, path in zip(sorted(found), paths, strict=True)}
    made: State = {}
    for name, value in state.items():
        number, _, layer = name.partition(".")
        if number in places:
            made[f"{places[number]}.{layer}"] = value
    return made


_CONVERTERS: dict[tuple[str, Naming], _Converter] = {
    ("transformer", Naming.LDM): _ldm_transformer,
    ("unet", Naming.LDM): _ldm_unet,
    ("unet", Naming.NUMBERED): _numbered_attention,
    ("vae", Naming.LDM): _ldm_vae,
    ("text_encoder", Naming.OPEN_CLIP): _open_clip,
    ("text_encoder_2", Naming.OPEN_CLIP): _open_clip,
}


def _config(module: nn.Module) -> Any:
    config: Any = module.config
    return config


def _modernise(state: State, module: nn.Module) -> None:
    """Attention of old autoencoders under its names of today; diffusers knows which blocks had others."""
    fix = getattr(module, "_fix_state_dict_keys_on_load", None)
    if fix is not None:
        fix(state)


def _wrapped(state: State, module: nn.Module) -> State:
    """Names with or without the wrapper that transformers' releases, or a head that is not used here, put around."""
    wanted = set(module.state_dict())
    made: State = {}
    for name, value in state.items():
        bare = (name.removeprefix(_TEXT_PREFIX), name.removeprefix(_LANGUAGE_PREFIX))
        # A language model that can see has its own name inside of the model; older files do not say so.
        candidates = (name, *bare, _TEXT_PREFIX + name, f"language_{name}")
        made[next((candidate for candidate in candidates if candidate in wanted), name)] = value
    return made


def _tied(state: State, module: nn.Module) -> State:
    """A tensor that has two names in the module, and only one of them in the files."""
    wanted = set(module.state_dict())
    for name, source in (getattr(module, "_tied_weights_keys", None) or {}).items():
        if name in wanted and name not in state and source in state:
            state[name] = state[source]
    return state
