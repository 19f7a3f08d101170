"""Flow models from pictures: the whole stack draws what diffusers' SD3 pipelines draw that begin from one."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    SD3Transformer2DModel,
    StableDiffusion3Img2ImgPipeline,
    StableDiffusion3InpaintPipeline,
)
from diffusers.pipelines.stable_diffusion_3 import (
    pipeline_stable_diffusion_3_img2img,
    pipeline_stable_diffusion_3_inpaint,
)
from PIL import Image

from families.catalog import load_source
from gateway.domain.backend import DenoiseEvent, DenoiseJob, InferenceBackend, Pixels, Start
from tests.engine.test_start import mask_of, of_the_mode, picture_of
from tests.support.tiny_sd3 import write_tiny_sd3
from tests.support.whole import Wanted, Whole, open_whole, worst

TOLERANCE = 2
REFERENCES = {False: StableDiffusion3Img2ImgPipeline, True: StableDiffusion3InpaintPipeline}
"""By whether they take a mask."""
CELL = 8


class FromPicture:
    """A backend whose jobs begin from a picture."""

    def __init__(self, backend: InferenceBackend, start: Start) -> None:
        self._backend, self._start = backend, start

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def denoise(self, job: DenoiseJob) -> AsyncGenerator[DenoiseEvent, None]:
        return self._backend.denoise(replace(job, start=self._start))


@dataclass(frozen=True)
class Beginning:
    """What is drawn, of which strength, and whether cells are kept."""

    wanted: Wanted
    strength: float
    masked: bool

    @property
    def cells(self) -> tuple[int, int]:
        return self.wanted.height // CELL, self.wanted.width // CELL

    @property
    def name(self) -> str:
        return f"{self.wanted.name}, strength {self.strength:g}, {'inpainting' if self.masked else 'image to image'}"


CASES = [
    Beginning(replace(wanted, steps=5), strength, masked)
    for wanted, strength in (
        (Wanted("a person in a red dress", 64, 64, guidance=5.0, negative="green"), 0.3),
        (Wanted("a blue striped top", 112, 80, seeds=(1, 2, 3)), 0.6),
        (Wanted("a person", 80, 144, guidance=4.0), 1.0),
    )
    for masked in (False, True)
]


@dataclass(frozen=True)
class Both:
    """The stack, and the reference by whether it takes a mask, on one folder of weights."""

    whole: Whole
    references: dict[bool, DiffusionPipeline]

    async def ours(self, case: Beginning) -> Pixels:
        release = await self.whole.backend.release(self.whole.model.manifest.name)
        pixels = np.array(picture_of(case.cells))[None]
        latents = await self.whole.backend.encode_image(release, pixels, deterministic=False)
        mask = mask_of(case.cells).numpy() if case.masked else None
        start = Start(latents, case.strength, mask)
        whole: Any = replace(self.whole, backend=FromPicture(self.whole.backend, start))  # type: ignore[arg-type]
        drawn: Pixels = await whole.draw(case.wanted)
        return drawn

    def theirs(self, case: Beginning) -> list[Image.Image]:
        wanted, extra = case.wanted, {}
        if case.masked:
            pixels = np.kron(mask_of(case.cells).numpy(), np.full((CELL, CELL), 255)).astype(np.uint8)
            extra = {"mask_image": Image.fromarray(pixels)}
        images: list[Image.Image] = self.references[case.masked](
            prompt=wanted.prompt,
            negative_prompt=wanted.negative,
            image=picture_of(case.cells) if case.masked else [picture_of(case.cells)] * len(wanted.seeds),
            strength=case.strength,
            height=wanted.height,
            width=wanted.width,
            num_inference_steps=wanted.steps,
            guidance_scale=wanted.guidance,
            num_images_per_prompt=len(wanted.seeds),
            generator=[torch.Generator().manual_seed(seed) for seed in wanted.seeds],
            **extra,
        ).images
        return images


def widened(folder: Path) -> Path:
    """The model with SD3's own 16 latent channels, by which its inpainting pipeline knows it.

    That pipeline forgets the VAE's shift when it decodes, so there is none.
    """
    torch.manual_seed(1)
    for kind, part, changes in (
        (SD3Transformer2DModel, "transformer", {"in_channels": 16, "out_channels": 16}),
        (AutoencoderKL, "vae", {"latent_channels": 16, "shift_factor": 0.0}),
    ):
        kind.from_config(kind.load_config(folder / part) | changes).save_pretrained(folder / part)
    return folder


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root: Path = tmp_path_factory.mktemp("flow")
    folder = widened(write_tiny_sd3(root / "sd3", t5=False))
    left_out = {"text_encoder_3": None, "tokenizer_3": None}
    references = {masked: kind.from_pretrained(folder, **left_out) for masked, kind in REFERENCES.items()}
    for pipeline in references.values():
        pipeline.set_progress_bar_config(disable=True)
    async with open_whole(load_source(folder), root / "repository") as whole:
        with of_the_mode(pipeline_stable_diffusion_3_img2img), of_the_mode(pipeline_stable_diffusion_3_inpaint):
            yield Both(whole, references)


def named(case: Beginning) -> Any:
    pipeline = REFERENCES[case.masked].__name__
    return pytest.param(case, id=case.name, marks=pytest.mark.parity("Stable Diffusion 3", pipeline))


@pytest.mark.parametrize("case", [named(case) for case in CASES])
async def test_pictures_from_pictures(both: Both, case: Beginning) -> None:
    assert worst(await both.ours(case), both.theirs(case)) <= TOLERANCE
