"""Which device, which numbers and which savings a component gets: what was asked for, completed by what suits."""

import logging
from dataclasses import dataclass

import torch

from engine.errors import RuntimeUnavailableError
from engine.hardware.rocm import amd_gpus, recipe_of
from families.manifest import Component
from families.torch_options import AttentionSlicing, CompileMode, Offload, Switch, TorchDType, TorchOptions

_log = logging.getLogger(__name__)

_DTYPES = {
    TorchDType.FLOAT32: torch.float32,
    TorchDType.BFLOAT16: torch.bfloat16,
    TorchDType.FLOAT16: torch.float16,
}
_VAE = frozenset({Component.VAE_ENCODER, Component.VAE_DECODER})


@dataclass(frozen=True, slots=True)
class TorchPlan:
    """How one component is run; nothing is left to choose."""

    device: torch.device
    dtype: torch.dtype = torch.float32
    vae_slicing: bool = False
    vae_tiling: bool = False
    attention_slicing: AttentionSlicing = AttentionSlicing.NONE
    offload: Offload = Offload.NONE
    compile: CompileMode = CompileMode.NONE


def pick_device(wanted: str) -> torch.device:
    """The device of this name; `auto` takes the fastest there is. ROCm's GPUs are cuda to torch.

    Raises RuntimeUnavailableError where torch cannot use it.
    """
    if wanted != "auto":
        device = torch.device(wanted)
        usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if not usable.get(device.type, True):
            raise RuntimeUnavailableError(f"device {wanted!r} was asked for, but torch cannot use it here")
        return device
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def plan_for(component: Component, wanted: str, options: TorchOptions) -> TorchPlan:
    """The plan of one component. Raises RuntimeUnavailableError where the device cannot do what was asked for."""
    device = pick_device(wanted)
    suits = _suits(device)
    offload = options.offload
    if device.type == "cpu" and offload is not Offload.NONE:
        _log.info("offloading weights to the host means nothing on the CPU")
        offload = Offload.NONE
    if offload is not Offload.NONE and options.compile is not CompileMode.NONE:
        raise RuntimeUnavailableError("offload and compile exclude each other: a compiled graph keeps its weights")
    is_vae = component in _VAE
    sliced = options.attention_slicing or suits.attention_slicing or AttentionSlicing.NONE
    return TorchPlan(
        device=device,
        dtype=_dtype(component, device, options.dtype, suits.dtype),
        vae_slicing=is_vae and _on(options.vae_slicing, suits.vae_slicing),
        vae_tiling=is_vae and _on(options.vae_tiling, suits.vae_tiling),
        attention_slicing=sliced if component is Component.DENOISER else AttentionSlicing.NONE,
        offload=offload,
        compile=options.compile,
    )


def _suits(device: torch.device) -> TorchOptions:
    """What the device gets where nobody chose: float32, but bfloat16 on GPUs of NVIDIA and AMD that have it."""
    if device.type != "cuda":
        return TorchOptions(dtype=TorchDType.FLOAT32)
    if torch.version.hip is not None:
        recipe = recipe_of(amd_gpus())
        if recipe is not None:
            return recipe.options
    return TorchOptions(dtype=TorchDType.BFLOAT16 if torch.cuda.is_bf16_supported() else TorchDType.FLOAT32)


def _dtype(component: Component, device: torch.device, asked: TorchDType, suits: TorchDType) -> torch.dtype:
    # Autoencoders overflow in half precision, and show its steps: they get it only from who asks for it.
    chosen = (TorchDType.FLOAT32 if component in _VAE else suits) if asked is TorchDType.AUTO else asked
    if chosen is TorchDType.FLOAT16 and device.type == "cpu":
        raise RuntimeUnavailableError("dtype float16 needs a GPU; on the CPU float32 and bfloat16 are allowed")
    return _DTYPES[chosen]


def _on(asked: Switch, suits: Switch) -> bool:
    return (suits if asked is Switch.AUTO else asked) is Switch.ON
