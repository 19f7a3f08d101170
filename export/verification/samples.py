"""Inputs for the numeric checks, taken from the model's own sampling trajectories.

Random noise alone would hide errors: activations in the middle of a trajectory have other ranges.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import torch
from torch import nn

from engine.modules import load_source_module
from export.quiet import quiet
from export.verification.end_to_end import EndToEnd
from export.verification.given import Given, people_given, prompts_given
from export.verification.threads import threads_for, torch_threads
from export.verification.trajectory import (
    Conditions,
    Trajectory,
    denoise,
    denoiser_conditions,
    drawn,
    rows_of,
    token_inputs,
)
from families.catalog import ModelSource
from families.manifest import Component
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
            Component.VAE_ENCODER: self._encoding,
            Component.VAE_DECODER: self._decoding,
        }
        return makers[component]()

    def module(self, component: Component, dtype: torch.dtype = torch.float32) -> nn.Module:
        """A fresh torch module of `component`; in float32 it is the reference."""
        with quiet():
            return load_source_module(self._source, component, dtype)

    @cached_property
    def end_to_end(self) -> EndToEnd:
        """Pictures drawn in torch, to hold an artefact's against."""
        return EndToEnd(self._source, self.module)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Heights and widths of pictures to check, in latent cells: the default, one odd, one non-square, the smallest.

        Of a model that draws one size, that one as often.
        """
        rule = self._manifest.size
        if all(isinstance(dim, int) for dim in self._manifest.denoiser.inputs[0].dims):
            cell = self._manifest.latent.downscale
            return ((rule.default_height // cell, rule.default_width // cell),) * 4
        smallest = rule.minimum // rule.multiple
        side = max(_BASE_SIDE, smallest)
        default = (rule.default_height // rule.multiple, rule.default_width // rule.multiple)
        odd = (side + 1, max(side - 3, smallest))
        oblong = (max(side - 5, smallest), side + 8)
        return (default, odd, oblong, (smallest, smallest))

    def _prompts(self) -> tuple[Sample, ...]:
        names = [spec.name for spec in self._manifest.text_encoder.inputs]
        return tuple(
            Sample(f"{rows} prompts", _named(names, rows_of(self._tokens, slice(rows))))
            for rows in (1, 2, len(PROMPTS))
        )

    def _denoising(self) -> tuple[Sample, ...]:
        names = [spec.name for spec in self._manifest.denoiser.inputs]
        made: list[Sample] = []
        for size, batches in zip(self.sizes, ((1, 2, 5), (3,), (2,), (4,)), strict=True):
            run = self._trajectory(size)
            for rows in batches:
                # Row i is prompt i at a step of its own: the step engine mixes timesteps in one batch.
                prompt = torch.arange(rows) % len(PROMPTS)
                step = torch.arange(rows) * 2 % STEPS if rows > 1 else torch.tensor([STEPS // 2])
                given = rows_of(self._given(size).positive, prompt)
                conditions = denoiser_conditions(self._manifest, given, self._latent_size(size))
                inputs = (run.latents[step, prompt], run.timesteps[step], *conditions)
                made.append(Sample(f"{rows} x {size[0]}x{size[1]}", _named(names, inputs)))
        return tuple(made)

    def _encoding(self) -> tuple[Sample, ...]:
        """Random pixels: more than any picture asks of the encoder."""
        spec, cell = self._manifest.vae_encoder.inputs[0], self._manifest.latent.downscale
        generator = np.random.default_rng(0)
        made = []
        for (height, width), rows in zip(self.sizes, (3, 2, 1, 2), strict=True):
            shape = (rows, height * cell, width * cell, int(spec.dims[-1]))
            pixels = generator.integers(0, 256, shape, dtype=np.uint8)
            made.append(Sample(f"{rows} x {height}x{width}", (NamedTensor(spec.name, pixels),)))
        return tuple(made)

    def _decoding(self) -> tuple[Sample, ...]:
        name = self._manifest.vae_decoder.inputs[0].name
        return tuple(
            Sample(f"{rows} x {size[0]}x{size[1]}", (NamedTensor(name, self._final(size)[:rows]),))
            for size, rows in zip(self.sizes, (3, 2, 1, 2), strict=True)
        )

    @cached_property
    def _tokens(self) -> Conditions:
        """The text encoder's inputs for every prompt."""
        return token_inputs(self._source, PROMPTS)

    def _final(self, size: tuple[int, int]) -> Array:
        return _array(drawn(self._manifest, self._trajectory(size).final))

    def _given(self, size: tuple[int, int]) -> Given:
        """What requests for pictures of this size bring."""
        if self._manifest.try_on is None:
            return self._prompts_given
        return self._people_given[size]

    @cached_property
    def _prompts_given(self) -> Given:
        return prompts_given(self._source, PROMPTS, self.module)

    @cached_property
    def _people_given(self) -> dict[tuple[int, int], Given]:
        cell = self._manifest.latent.downscale
        loaded = cache(self.module)
        return {
            size: people_given(self._manifest, len(PROMPTS), (size[0] * cell, size[1] * cell), loaded)
            for size in self.sizes
        }

    def _latent_size(self, size: tuple[int, int]) -> tuple[int, int]:
        cell = self._manifest.latent.downscale
        return self._manifest.latent_size(size[0] * cell, size[1] * cell)

    @cached_property
    def _trajectories(self) -> dict[tuple[int, int], Trajectory]:
        denoiser = self.module(Component.DENOISER)
        with torch_threads(threads_for(denoiser)):
            return {size: self._run(denoiser, size) for size in self.sizes}

    def _trajectory(self, size: tuple[int, int]) -> Trajectory:
        return self._trajectories[size]

    def _run(self, denoiser: nn.Module, size: tuple[int, int]) -> Trajectory:
        """Sample every prompt in a few steps."""
        shape = (len(PROMPTS), self._manifest.latent.channels, *self._latent_size(size))
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(size[0] * 1000 + size[1]))
        return denoise(denoiser, self._manifest, self._given(size).positive, noise, STEPS)


def _named(names: Sequence[str], tensors: Sequence[torch.Tensor]) -> tuple[NamedTensor, ...]:
    return tuple(NamedTensor(name, _array(tensor)) for name, tensor in zip(names, tensors, strict=True))


def _array(tensor: torch.Tensor) -> Array:
    """Contiguous numpy copy."""
    array: Array = tensor.contiguous().numpy()
    return array
