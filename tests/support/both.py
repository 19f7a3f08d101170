"""The stack and diffusers' own pipeline on one folder of weights."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from diffusers import DiffusionPipeline
from PIL import Image
from torch import Generator

from export.verification.threads import torch_threads
from families.catalog import load_source
from tests.support.whole import Wanted, Whole, open_whole

Arguments = Callable[[Wanted], dict[str, object]]


def usual(wanted: Wanted) -> dict[str, object]:
    """How most pipelines are told of guidance."""
    return {"negative_prompt": wanted.negative, "guidance_scale": wanted.guidance}


def true_guidance(wanted: Wanted) -> dict[str, object]:
    """Qwen-Image's name for it."""
    return {"negative_prompt": wanted.negative, "true_cfg_scale": wanted.guidance}


def klein(wanted: Wanted) -> dict[str, object]:
    """FLUX.2-klein has no negative prompts, and takes reference pictures."""
    references = [Image.fromarray(pixels) for pixels in wanted.references]
    return {"image": references or None, "guidance_scale": wanted.guidance}


@dataclass(frozen=True)
class Both:
    """`arguments`: what the reference's pipeline is told beside sizes, steps and seeds."""

    whole: Whole
    pipeline: DiffusionPipeline
    arguments: Arguments = usual

    def reference(self, wanted: Wanted) -> list[Image.Image]:
        """diffusers' pictures, one a seed."""
        with torch_threads(1):
            images: list[Image.Image] = self.pipeline(
                prompt=wanted.prompt,
                height=wanted.height,
                width=wanted.width,
                num_inference_steps=wanted.steps,
                num_images_per_prompt=len(wanted.seeds),
                generator=[Generator().manual_seed(seed) for seed in wanted.seeds],
                **self.arguments(wanted),
            ).images
        return images


@asynccontextmanager
async def open_both(
    folder: Path, kind: type[DiffusionPipeline], arguments: Arguments = usual, **left_out: None
) -> AsyncIterator[Both]:
    """`left_out`: parts that the folder does not have."""
    pipeline = kind.from_pretrained(folder, **left_out)
    pipeline.set_progress_bar_config(disable=True)
    async with open_whole(load_source(folder), folder.parent / "repository") as whole:
        yield Both(whole, pipeline, arguments)
