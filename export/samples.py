"""Inputs for the numeric checks, taken from the model's own sampling trajectories.

Random noise alone would hide errors: activations in the middle of a trajectory have other ranges.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from tokenizers import Tokenizer
from torch import nn

from engine.modules import load_module
from export.quiet import quiet
from export.threads import threads_for, torch_threads
from families.catalog import ModelSource
from families.manifest import Component, Prediction
from families.tensors import Array, NamedTensor

PROMPTS = (
    "a woman with red hair in a striped blue dress",
    "",
    "man, green shirt, black trousers, plain grey background",
    "a photograph of an astronaut riding a horse through a city at night, highly detailed, " * 6,
    "dotted skirt",
)
STEPS = 4
_BASE_SIDE = 16


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of a component: its inputs with a batch axis, and what to call it in a report."""

    label: str
    inputs: tuple[NamedTensor, ...]


@dataclass(frozen=True, slots=True)
class _Trajectory:
    """One run at one size: latents [steps, prompts, C, h, w], timesteps [steps], final [prompts, C, h, w]."""

    latents: torch.Tensor
    timesteps: torch.Tensor
    final: torch.Tensor


class ReferenceSamples:
    """Makes the samples of one model's components; loads only the torch modules that a component needs, once."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source
        self._manifest = source.manifest

    def of(self, component: Component) -> tuple[Sample, ...]:
        """Samples of several batch sizes and, where the component has them, sides: odd, non-square and the default."""
        makers: dict[Component, Callable[[], tuple[Sample, ...]]] = {
            Component.TEXT_ENCODER: self._prompts,
            Component.DENOISER: self._denoising,
            Component.VAE_DECODER: self._decoding,
        }
        return makers[component]()

    def module(self, component: Component) -> nn.Module:
        """The untouched torch module that is the reference for `component`."""
        with quiet():
            return load_module(self._manifest.family, component, self._source.folder)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Latent heights and widths to check: the default, one odd, one non-square, the smallest."""
        rule = self._manifest.size
        smallest = rule.minimum // rule.multiple
        side = max(_BASE_SIDE, smallest)
        default = (rule.default_height // rule.multiple, rule.default_width // rule.multiple)
        odd = (side + 1, max(side - 3, smallest))
        oblong = (max(side - 5, smallest), side + 8)
        return (default, odd, oblong, (smallest, smallest))

    def _prompts(self) -> tuple[Sample, ...]:
        name = self._manifest.text_encoder.inputs[0].name
        ids = self._token_ids
        return tuple(
            Sample(f"{rows} prompts", (NamedTensor(name, _array(ids[:rows])),)) for rows in (1, 2, len(PROMPTS))
        )

    def _denoising(self) -> tuple[Sample, ...]:
        sample, timestep, *conditions = (spec.name for spec in self._manifest.denoiser.inputs)
        made: list[Sample] = []
        for size, batches in zip(self.sizes, ((1, 2, 5), (3,), (2,), (4,)), strict=True):
            run = self._trajectory(size)
            for rows in batches:
                # Row i is prompt i at a step of its own: the step engine mixes timesteps in one batch.
                prompt = torch.arange(rows) % len(PROMPTS)
                step = torch.arange(rows) * 2 % STEPS if rows > 1 else torch.tensor([STEPS // 2])
                tensors = [
                    NamedTensor(sample, _array(run.latents[step, prompt])),
                    NamedTensor(timestep, _array(run.timesteps[step])),
                    *(NamedTensor(name, _array(self._context[prompt])) for name in conditions),
                ]
                made.append(Sample(f"{rows} x {size[0]}x{size[1]}", tuple(tensors)))
        return tuple(made)

    def _decoding(self) -> tuple[Sample, ...]:
        name = self._manifest.vae_decoder.inputs[0].name
        return tuple(
            Sample(f"{rows} x {size[0]}x{size[1]}", (NamedTensor(name, _array(self._trajectory(size).final[:rows])),))
            for size, rows in zip(self.sizes, (3, 2, 1, 2), strict=True)
        )

    @cached_property
    def _token_ids(self) -> torch.Tensor:
        """Ids [prompts, length] int64, padded as the family's rule says."""
        rule = self._manifest.prompt
        tokenizer = Tokenizer.from_file(str(self._source.tokenizer_file))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        rows = []
        for text in PROMPTS:
            ids = tokenizer.encode(text, add_special_tokens=False).ids[: rule.length - 2]
            ids = [rule.begin_id, *ids, rule.end_id]
            rows.append(ids + [rule.pad_id] * (rule.length - len(ids)))
        return torch.tensor(rows)

    @cached_property
    def _context(self) -> torch.Tensor:
        """The prompts' conditions [prompts, N, D]."""
        with torch.inference_mode():
            context: torch.Tensor = self.module(Component.TEXT_ENCODER)(self._token_ids)
        return context

    @cached_property
    def _trajectories(self) -> dict[tuple[int, int], _Trajectory]:
        denoiser = self.module(Component.DENOISER)
        with torch_threads(threads_for(denoiser)):
            return {size: self._run(denoiser, size) for size in self.sizes}

    def _trajectory(self, size: tuple[int, int]) -> _Trajectory:
        return self._trajectories[size]

    def _run(self, denoiser: nn.Module, size: tuple[int, int]) -> _Trajectory:
        """Sample every prompt in a few Euler-like steps."""
        scheduler = self._scheduler()
        scheduler.set_timesteps(STEPS)
        shape = (len(PROMPTS), self._manifest.latent.channels, *size)
        latents = torch.randn(shape, generator=torch.Generator().manual_seed(size[0] * 1000 + size[1]))
        points = []
        with torch.inference_mode():
            for timestep in scheduler.timesteps:
                points.append(latents)
                rows = timestep.to(torch.float32).expand(len(PROMPTS))
                latents = scheduler.step(denoiser(latents, rows, self._context), timestep, latents).prev_sample
        return _Trajectory(torch.stack(points), scheduler.timesteps.to(torch.float32), latents)

    def _scheduler(self) -> DDIMScheduler | FlowMatchEulerDiscreteScheduler:
        noise = self._manifest.noise
        if noise.prediction is Prediction.FLOW:
            return FlowMatchEulerDiscreteScheduler(num_train_timesteps=noise.num_train_timesteps)
        return DDIMScheduler(
            num_train_timesteps=noise.num_train_timesteps,
            beta_start=noise.beta_start,
            beta_end=noise.beta_end,
            beta_schedule=noise.beta_schedule,
            prediction_type=noise.prediction.value,
            timestep_spacing=noise.timestep_spacing,
            steps_offset=noise.steps_offset,
            set_alpha_to_one=noise.set_alpha_to_one,
            clip_sample=False,
        )


def _array(tensor: torch.Tensor) -> Array:
    """Contiguous numpy copy."""
    array: Array = tensor.contiguous().numpy()
    return array
