"""What is compiled: one entry a component."""

# ruff: noqa: PLC0415 - a step's process loads only what it needs, as its memory is measured

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from export.recipe import Precision, Range
from families.batching import PROMPT_PIECES
from families.tensors import ComponentSignature, DType, TensorSpec

_LATENT = (4, "latent_height", "latent_width")


@dataclass(frozen=True, slots=True)
class Item:
    """`sizes` are the symbols' values of the numeric check, `ranges` the engine's profile, None for no engine.

    `make` builds the module, whose weights are in `precision` from the start.
    """

    key: str
    title: str
    make: Callable[[], nn.Module]
    signature: ComponentSignature
    precision: Precision
    sizes: dict[str, int]
    ranges: dict[str, Range] | None


def _unet() -> nn.Module:
    from diffusers import UNet2DConditionModel

    from benchmarks.full_size.architectures import SD15_UNET
    from engine.modules.stable_diffusion import Denoiser

    return Denoiser(UNet2DConditionModel(**SD15_UNET))


def _vae() -> nn.Module:
    from diffusers import AutoencoderKL

    from benchmarks.full_size.architectures import SD15_VAE
    from engine.modules.stable_diffusion import VaeDecoder

    vae = AutoencoderKL(**SD15_VAE)
    del vae.encoder
    return VaeDecoder(vae)


def _text() -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    from benchmarks.full_size.architectures import SD15_TEXT
    from engine.modules.stable_diffusion import TextEncoder

    return TextEncoder(CLIPTextModel(CLIPTextConfig(**SD15_TEXT)))


def _sdxl() -> nn.Module:
    from diffusers import UNet2DConditionModel

    from benchmarks.full_size.architectures import SDXL_UNET
    from engine.modules.sdxl import Denoiser

    return Denoiser(UNet2DConditionModel(**SDXL_UNET))


def _flux2() -> nn.Module:
    from diffusers import Flux2Transformer2DModel

    from benchmarks.full_size.architectures import FLUX2_KLEIN
    from engine.modules.flux2_transformer import Transformer

    return Transformer(Flux2Transformer2DModel(**FLUX2_KLEIN))


def _qwen() -> nn.Module:
    from diffusers import QwenImageTransformer2DModel

    from benchmarks.full_size.architectures import QWEN_IMAGE_LAYERED
    from engine.modules.qwen_image_transformer import Transformer

    return Transformer(QwenImageTransformer2DModel(**QWEN_IMAGE_LAYERED))


def _floats(name: str, *dims: int | str) -> TensorSpec:
    return TensorSpec(name, DType.FP32, dims)


def _signature(inputs: tuple[TensorSpec, ...], output: TensorSpec) -> ComponentSignature:
    return ComponentSignature(inputs, (output,))


_ROTATIONS = (
    _floats("image_cos", "image_tokens", 64),
    _floats("image_sin", "image_tokens", 64),
    _floats("text_cos", "text_tokens", 64),
    _floats("text_sin", "text_tokens", 64),
)
_SIDES = {name: Range(min=64, opt=64, max=128) for name in ("latent_height", "latent_width")}

ITEMS: tuple[Item, ...] = (
    Item(
        "sd15-text",
        "Stable Diffusion 1.5, text encoder",
        _text,
        _signature((TensorSpec("input_ids", DType.INT64, (77,)),), _floats("context", 77, 768)),
        Precision.FP16,
        {},
        {"batch": Range(min=1, opt=2, max=16)},
    ),
    Item(
        "sd15-vae",
        "Stable Diffusion 1.5, VAE decoder",
        _vae,
        _signature((_floats("latents", *_LATENT),), TensorSpec("pixels", DType.UINT8, ("height", "width", 3))),
        Precision.FP16,
        {"latent_height": 16, "latent_width": 24},
        {"batch": Range(min=1, opt=1, max=4), **_SIDES},
    ),
    Item(
        "sd15-unet",
        "Stable Diffusion 1.5, UNet",
        _unet,
        _signature(
            (_floats("sample", *_LATENT), _floats("timestep"), _floats("context", "text_length", 768)),
            _floats("prediction", *_LATENT),
        ),
        Precision.FP16,
        {"latent_height": 16, "latent_width": 24, "text_length": 154},
        {
            "batch": Range(min=1, opt=2, max=8),
            "text_length": Range(min=77, opt=77, max=77 * PROMPT_PIECES),
            **_SIDES,
        },
    ),
    Item(
        "sdxl-unet",
        "Stable Diffusion XL, UNet",
        _sdxl,
        _signature(
            (
                _floats("sample", *_LATENT),
                _floats("timestep"),
                _floats("context", 77, 2048),
                _floats("text_embeds", 1280),
                _floats("time_ids", 6),
            ),
            _floats("prediction", *_LATENT),
        ),
        Precision.FP16,
        {"latent_height": 16, "latent_width": 16},
        None,
    ),
    Item(
        "flux2-klein",
        "FLUX.2-klein 4B, transformer, 2 + 2 of 5 + 20 blocks",
        _flux2,
        _signature(
            (
                _floats("sample", "image_tokens", 128),
                _floats("timestep"),
                _floats("context", "text_tokens", 7680),
                *_ROTATIONS,
            ),
            _floats("velocity", "image_tokens", 128),
        ),
        Precision.FP16,
        {"image_tokens": 48, "text_tokens": 24},
        {
            "batch": Range(min=1, opt=1, max=2),
            "image_tokens": Range(min=1024, opt=4096, max=12_288),  # 512x512 to 1024x1024 with two references
            "text_tokens": Range(min=512, opt=512, max=512),
        },
    ),
    Item(
        "qwen-image-layered",
        "Qwen-Image-Layered, transformer, 2 of 60 blocks",
        _qwen,
        _signature(
            (
                _floats("sample", "image_tokens", 64),
                _floats("timestep"),
                _floats("context", "text_tokens", 3584),
                TensorSpec("context_mask", DType.BOOL, ("text_tokens",)),
                *_ROTATIONS,
                TensorSpec("layered", DType.INT64, ()),
            ),
            _floats("velocity", "image_tokens", 64),
        ),
        Precision.FP16,
        {"image_tokens": 48, "text_tokens": 24},
        {
            "batch": Range(min=1, opt=1, max=2),
            "image_tokens": Range(min=1600, opt=9600, max=9600),  # one picture of 640x640; four layers, whole, source
            "text_tokens": Range(min=512, opt=512, max=512),
        },
    ),
)
