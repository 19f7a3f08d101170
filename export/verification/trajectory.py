"""A model's own sampling loop in torch: what its components really receive, from token ids to final latents."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from tokenizers import Tokenizer
from torch import nn

from families.catalog import FAMILIES, ModelSource
from families.derived import Layout
from families.manifest import REFERENCE, ModelManifest, Prediction, PromptRule
from families.tokenizers import open_tokenizer
from families.try_on_planes import of_person

Conditions = tuple[torch.Tensor, ...]
"""What the text encoder is given or answers, one tensor [prompts, ...] for each of its inputs or outputs."""
_SEQUENCE = 3
"""Axes of a condition that holds something for every token."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Runs side by side: latents [steps, images, C, h, w], timesteps [steps], final [images, C, h, w], all float32."""

    latents: torch.Tensor
    timesteps: torch.Tensor
    final: torch.Tensor


@dataclass(frozen=True, slots=True)
class Guidance:
    """Classifier-free guidance away from `negative`, one row for all images or one for each."""

    negative: Conditions
    scale: float


def token_inputs(source: ModelSource, prompts: Sequence[str]) -> Conditions:
    """The text encoder's inputs: each tokenizer's ids int64 [prompts, length], cut and padded as its rule says, and
    its mask where it has one."""
    tensors: list[torch.Tensor] = []
    for file, rule in zip(source.tokenizer_files, source.manifest.prompts, strict=True):
        rows = _rows(open_tokenizer(file), rule, prompts)
        tensors.append(torch.tensor([row + [rule.pad_id] * (rule.length - len(row)) for row in rows]))
        if rule.mask is not None:
            tensors.append(torch.arange(rule.length)[None] < torch.tensor([[len(row)] for row in rows]))
    return tuple(tensors)


def _rows(tokenizer: Tokenizer, rule: PromptRule, prompts: Sequence[str]) -> list[list[int]]:
    begin = [] if rule.begin_id is None else [rule.begin_id]
    end = [] if rule.end_id is None else [rule.end_id]
    room = rule.length - len(begin) - len(end)
    texts = (rule.template.replace("{}", prompt) for prompt in prompts)
    return [[*begin, *tokenizer.encode(text, add_special_tokens=False).ids[:room], *end] for text in texts]


def encoded(encoder: nn.Module, tokens: Conditions) -> Conditions:
    """The text encoder's outputs, however many there are."""
    answer = encoder(*tokens)
    return answer if isinstance(answer, tuple) else (answer,)


def rows_of(conditions: Conditions, rows: slice | torch.Tensor) -> Conditions:
    """These prompts' conditions."""
    return tuple(condition[rows] for condition in conditions)


def with_negative(conditions: Conditions, negative: Conditions) -> Conditions:
    """Two rows an image, as guidance batches them: first `negative`, one row for all or one each, then theirs."""
    return tuple(
        torch.cat([first.expand(len(second), *first.shape[1:]), second])
        for first, second in zip(negative, conditions, strict=True)
    )


def denoiser_conditions(manifest: ModelManifest, given: Conditions, size: tuple[int, int]) -> Conditions:
    """All that the denoiser is told beside sample and timestep, in its signature's order, a row a prompt of `given`.

    `size`: latent height and width. There are no references but the picture that a model takes apart.
    """
    rows = len(given[0])
    more: list[torch.Tensor] = []
    pictures = _pictures(manifest, size)
    if manifest.references is not None:
        spec = next(spec for spec in manifest.denoiser.inputs if spec.name == REFERENCE)
        cells = sum(height * width for height, width in pictures)
        more.append(torch.randn((1, cells, int(spec.dims[-1])), generator=torch.Generator().manual_seed(cells)))
    length = next((value.shape[1] for value in given if value.ndim == _SEQUENCE), 0)
    family = FAMILIES.get(manifest.family)
    if family is not None:
        derived = family.derive(manifest, Layout(*size, text_length=length, references=pictures))
        more.extend(torch.from_numpy(tensor.array) for tensor in derived)
    return (*given, *(value.expand(rows, *value.shape[1:]) for value in more))


def _pictures(manifest: ModelManifest, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Sizes of the reference pictures beside latents of this size, in cells; layers are as many as are usual."""
    return () if manifest.layers is None else ((size[0] // manifest.layers.frames(), size[1]),)


def drawn(manifest: ModelManifest, latents: torch.Tensor) -> torch.Tensor:
    """What of the denoised latents [images, C, h, w] is the picture, or the layers: the lowest of all images first."""
    rule = manifest.try_on
    if manifest.layers is not None:
        frames = torch.stack(latents.chunk(manifest.layers.frames(), dim=2))
        return frames[1:].flatten(0, 1)
    return latents if rule is None else torch.from_numpy(of_person(rule, latents.numpy()))


def denoise(
    denoiser: nn.Module,
    manifest: ModelManifest,
    given: Conditions,
    noise: torch.Tensor,
    steps: int,
    *,
    guidance: Guidance | None = None,
) -> Trajectory:
    """From `noise` [images, C, h, w] with the text encoder's outputs `given` to latents, in first-order steps."""
    told = given if guidance is None else with_negative(given, guidance.negative)
    conditions = denoiser_conditions(manifest, told, (noise.shape[2], noise.shape[3]))
    scheduler = _scheduler(manifest)
    scheduler.set_timesteps(steps)
    images, latents, points = len(noise), noise, []
    with torch.inference_mode():
        for timestep in scheduler.timesteps:
            points.append(latents)
            if guidance is None:
                prediction = denoiser(latents, timestep.to(torch.float32).expand(images), *conditions)
            else:
                rows = timestep.to(torch.float32).expand(2 * images)
                both = denoiser(latents.repeat(2, 1, 1, 1), rows, *conditions)
                negative, positive = both.chunk(2)
                prediction = negative + guidance.scale * (positive - negative)
            latents = scheduler.step(prediction, timestep, latents).prev_sample
    return Trajectory(torch.stack(points), scheduler.timesteps.to(torch.float32), latents)


def _scheduler(manifest: ModelManifest) -> DDIMScheduler | FlowMatchEulerDiscreteScheduler:
    noise = manifest.noise
    if noise.prediction is Prediction.FLOW:
        return FlowMatchEulerDiscreteScheduler(num_train_timesteps=noise.num_train_timesteps)
    return DDIMScheduler(
        num_train_timesteps=noise.num_train_timesteps,
        beta_start=noise.beta_start,
        beta_end=noise.beta_end,
        beta_schedule=noise.beta_schedule,
        prediction_type=noise.prediction.value,
        timestep_spacing=noise.timestep_spacing or "leading",
        steps_offset=noise.steps_offset,
        set_alpha_to_one=noise.set_alpha_to_one,
        clip_sample=False,
    )
