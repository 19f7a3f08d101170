"""The port's job as the step engine's request."""

from collections.abc import Sequence

import numpy as np
import torch

from engine.request import DenoiseRequest, LatentStart, NamedCondition, References
from families.lora.use import LoraUse
from families.tensors import Array
from gateway.domain.backend import DenoiseJob, Latents, Lora, Start


def denoise_request(job: DenoiseJob) -> DenoiseRequest:
    """A copy: nothing of the job's memory is kept."""
    return DenoiseRequest(
        conditions=tuple(NamedCondition(tensor.name, _tensor(tensor.array)) for tensor in job.conditions),
        seeds=job.seeds,
        steps=job.steps,
        guidance_scale=job.guidance_scale,
        scheduler=job.scheduler,
        latent_height=job.latent_height,
        latent_width=job.latent_width,
        priority=job.priority,
        deterministic=job.deterministic,
        preview_steps=job.preview_steps,
        start=None if job.start is None else _start(job.start),
        references=_references(job.references) if job.references else None,
        guidance_interval=job.guidance_interval,
        step_cache=job.step_cache,
        loras=lora_uses(job.loras),
    )


def lora_uses(loras: Sequence[Lora]) -> tuple[LoraUse, ...]:
    """Adapters as the engine names them."""
    return tuple(LoraUse(lora.name, lora.scale) for lora in loras)


def _start(start: Start) -> LatentStart:
    return LatentStart(_tensor(start.latents), start.strength, None if start.mask is None else _tensor(start.mask))


def _references(pictures: tuple[Latents, ...]) -> References:
    cells = [picture[0].reshape(picture.shape[1], -1).T for picture in pictures]
    sizes = tuple((picture.shape[2], picture.shape[3]) for picture in pictures)
    return References(_tensor(np.concatenate(cells)), sizes)


def _tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(np.array(array))
