"""Adapters of every family beside Stable Diffusion 1.x: the pictures that diffusers draws with them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from diffusers import (
    DiffusionPipeline,
    Flux2KleinPipeline,
    QwenImagePipeline,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
)

from gateway.domain.backend import Lora
from tests.support.both import Arguments, Both, klein, open_both, true_guidance, usual
from tests.support.tiny_flux2 import write_tiny_flux2
from tests.support.tiny_lora import attention, write_peft
from tests.support.tiny_qwen_image import write_tiny_qwen_image
from tests.support.tiny_sd3 import write_tiny_sd3
from tests.support.tiny_sdxl import write_tiny_sdxl
from tests.support.whole import Wanted, worst

TOLERANCE = 2
pytest.importorskip("peft", reason="diffusers loads adapters through peft")


@dataclass(frozen=True)
class Case:
    """`parts`: what the adapters change."""

    name: str
    write: Callable[[Path], Path]
    pipeline: type[DiffusionPipeline]
    parts: tuple[str, ...]
    arguments: Arguments = usual
    guidance: float = 4.0


CASES = (
    Case("SDXL", write_tiny_sdxl, StableDiffusionXLPipeline, ("unet", "text_encoder", "text_encoder_2")),
    Case("Stable Diffusion 3", write_tiny_sd3, StableDiffusion3Pipeline, ("transformer",)),
    Case("FLUX.2-klein", write_tiny_flux2, Flux2KleinPipeline, ("transformer",), klein, 1.0),
    Case("Qwen-Image", write_tiny_qwen_image, QwenImagePipeline, ("transformer",), true_guidance),
)
LORAS = (Lora("style", 1.0), Lora("subject", -0.6))


def wanted_of(case: Case) -> tuple[Wanted, ...]:
    """No adapter, one, and two over three pictures that are not square."""
    plain = Wanted("a woman in a red striped dress", 64, 64, guidance=case.guidance, negative="blue", steps=3)
    two = replace(plain, loras=LORAS, width=112, height=80, seeds=(1, 2, 3))
    return plain, replace(plain, loras=LORAS[:1]), two


def _marked(case: Case) -> ParameterSet:
    mark = pytest.mark.parity(f"{case.name} with LoRA", case.pipeline.__name__)
    return pytest.param(case, marks=mark, id=case.name)


@pytest.fixture(scope="module", params=map(_marked, CASES))
async def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Case, Both]]:
    case: Case = request.param
    folder = case.write(tmp_path_factory.mktemp("lora") / "model")
    for seed, lora in enumerate(LORAS):
        path = folder / "loras" / f"{lora.name}.safetensors"
        write_peft(folder, path, parts=case.parts, chosen=attention, seed=seed, alpha=6.0)
    async with open_both(folder, case.pipeline, case.arguments) as both:
        for lora in LORAS:
            both.pipeline.load_lora_weights(
                folder / "loras", weight_name=f"{lora.name}.safetensors", adapter_name=lora.name
            )
        yield case, both


async def test_adapters_as_diffusers_loads_them(
    opened: tuple[Case, Both],
) -> None:
    case, both = opened
    pictures = []
    for wanted in wanted_of(case):
        both.pipeline.set_adapters([lora.name for lora in LORAS], [_scale(wanted, lora) for lora in LORAS])
        pictures.append(await both.whole.draw(wanted))
        assert worst(pictures[-1], both.reference(wanted)) <= TOLERANCE, wanted
    plain, styled = (picture.astype(int) for picture in pictures[:2])
    assert np.abs(plain - styled).max() > 5 * TOLERANCE, "the adapter changes nothing that could be compared"


def _scale(wanted: Wanted, lora: Lora) -> float:
    return next((used.scale for used in wanted.loras if used == lora), 0.0)
