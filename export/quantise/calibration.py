"""Real inputs of a component: the model's own prompts through its own sampler, with guidance."""

from collections.abc import Iterator

import torch
from torch import nn

from engine.modules import load_source_module
from export.errors import BuildError
from export.quantise.prompts import prompts_for
from export.quiet import quiet
from export.recipe import Quantisation, QuantisationMethod
from export.verification.threads import threads_for, torch_threads
from export.verification.trajectory import (
    Conditions,
    Guidance,
    Trajectory,
    denoise,
    denoiser_conditions,
    encoded,
    rows_of,
    token_inputs,
    with_negative,
)
from families.catalog import ModelSource
from families.manifest import Component, GuidanceKind

IMAGES_AT_ONCE = 8
"""Images of one call: enough to keep the cores busy, few enough for the memory of large models."""

CalibrationInputs = list[tuple[torch.Tensor, ...]]
"""Positional inputs of one call after another."""


def calibration_inputs(
    source: ModelSource, component: Component, settings: Quantisation, seed: int
) -> CalibrationInputs:
    """What `component` receives while the model draws `settings.calibration_prompts` pictures of its default size.

    Text encoder: token ids, the empty prompt among them. Denoiser: sample, timestep and conditions of every step, two
    rows an image where guidance batches them. VAE decoder: final latents. The same seed gives the same inputs. Raises
    BuildError for a broken file of prompts.
    """
    if not source.manifest.prompts:
        raise BuildError(
            f"{source.manifest.name} takes no prompts, and calibration draws from prompts; "
            f"{QuantisationMethod.INT8_WEIGHT_ONLY} needs none"
        )
    prompts = prompts_for(source, settings.calibration_prompts)
    tokens = token_inputs(source, ("", *prompts))
    if component is Component.TEXT_ENCODER:
        return list(_lots(tokens))
    inputs: CalibrationInputs = []
    for conditions, guidance, run in _runs(source, tokens, settings.calibration_steps, seed):
        if component is Component.VAE_DECODER:
            inputs.append((run.final,))
        else:
            inputs.extend(_calls(source, conditions, guidance, run))
    return inputs


def _calls(
    source: ModelSource, given: Conditions, guidance: Guidance | None, run: Trajectory
) -> Iterator[tuple[torch.Tensor, ...]]:
    """The denoiser's inputs of every step."""
    both = given if guidance is None else with_negative(given, guidance.negative)
    height, width = run.final.shape[2:]
    conditions = denoiser_conditions(source.manifest, both, (height, width))
    for latents, timestep in zip(run.latents, run.timesteps, strict=True):
        sample = latents if guidance is None else latents.repeat(2, 1, 1, 1)
        yield sample, timestep.expand(len(sample)), *conditions


def _runs(
    source: ModelSource, tokens: Conditions, steps: int, seed: int
) -> Iterator[tuple[Conditions, Guidance | None, Trajectory]]:
    """Draw all prompts but the first, some at a time: conditions, guidance and trajectory of each lot."""
    manifest, generator = source.manifest, torch.Generator().manual_seed(seed)
    with torch.inference_mode(), quiet():
        conditions = encoded(_load(source, Component.TEXT_ENCODER), tokens)
        denoiser = _load(source, Component.DENOISER)
    guidance = Guidance(rows_of(conditions, slice(1)), manifest.defaults.guidance_scale)
    guided = manifest.guidance is GuidanceKind.BATCHED and guidance.scale > 1
    sides = manifest.default_latent_size
    for lot in _lots(rows_of(conditions, slice(1, None))):
        noise = torch.randn((len(lot[0]), manifest.latent.channels, *sides), generator=generator)
        with torch_threads(threads_for(denoiser)):
            run = denoise(denoiser, manifest, lot, noise, steps, guidance=guidance if guided else None)
        yield lot, guidance if guided else None, run


def _load(source: ModelSource, component: Component) -> nn.Module:
    return load_source_module(source, component)


def _lots(tensors: Conditions) -> Iterator[Conditions]:
    yield from zip(*(torch.split(tensor, IMAGES_AT_ONCE) for tensor in tensors), strict=True)
