"""Pictures with the model's own recommended sampler, outside of any server: for components that none can run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.quantisation.scores import Floats, Pictures
from engine.samplers.sampler import Sampler
from engine.samplers.schedule import schedule_for
from export.verification.trajectory import token_inputs, with_negative
from families.catalog import ModelSource
from families.schedulers import SchedulerName

Run = Callable[[Sequence[torch.Tensor]], Floats]
"""One call of a component, inputs in the order of its signature."""

IMAGES_AT_ONCE = 8
_PIXELS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Parts:
    """The components that draw."""

    text_encoder: Run
    denoiser: Run
    vae_decoder: Run


def draw(source: ModelSource, parts: Parts, captions: Sequence[str], done: Callable[[int], None]) -> Pictures:
    """One picture a caption; a caption's number is its seed, as in `make eval`. `done` is told how many came."""
    contexts = torch.from_numpy(parts.text_encoder(token_inputs(source, ("", *captions))))
    negative, positive = contexts[:1], contexts[1:]
    pictures = []
    for start in range(0, len(captions), IMAGES_AT_ONCE):
        seeds = range(start, min(start + IMAGES_AT_ONCE, len(captions)))
        (context,) = with_negative((positive[seeds.start : seeds.stop],), (negative,))
        latents = _latents(source, parts.denoiser, context, seeds)
        for part in torch.split(latents, _PIXELS_AT_ONCE):
            pictures.append(parts.vae_decoder([part]))
        done(len(seeds))
    return np.concatenate(pictures).astype(np.uint8)


def _latents(source: ModelSource, denoiser: Run, context: torch.Tensor, seeds: range) -> torch.Tensor:
    manifest = source.manifest
    defaults, size, layout = manifest.defaults, manifest.size, manifest.latent
    cells = (size.default_height // layout.downscale) * (size.default_width // layout.downscale)
    schedule = schedule_for(manifest.noise, SchedulerName(defaults.scheduler), defaults.steps, cells)
    shape = (layout.channels, size.default_height // layout.downscale, size.default_width // layout.downscale)
    samplers = [Sampler(schedule, seed, shape, torch.device("cpu")) for seed in seeds]
    while samplers[0].calls_left:
        sample = torch.cat([sampler.model_input() for sampler in samplers]).repeat(2, 1, 1, 1)
        timestep = torch.full((len(sample),), samplers[0].timestep)
        negative, positive = torch.from_numpy(denoiser([sample, timestep, context])).chunk(2)
        guided = negative + defaults.guidance_scale * (positive - negative)
        for sampler, prediction in zip(samplers, torch.split(guided, 1), strict=True):
            sampler.step(prediction)
    return torch.cat([sampler.latents for sampler in samplers])
