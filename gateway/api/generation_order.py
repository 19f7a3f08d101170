"""A GenerateCommand as a job keeps it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from gateway.api.generation_answer import AnswerFacts
from gateway.domain.backend import Lora
from gateway.domain.edits import Dressing, Edit, PictureFile
from gateway.domain.pictures import GenerateCommand, PictureEncoding, PictureFormat, PictureSize
from gateway.pipelines.jobs.handler import StoredOrder


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StoredLora(_Part):
    """See Lora."""

    name: str
    scale: float


class StoredDressing(_Part):
    """See Dressing."""

    thorough: bool
    steps: int | None
    guidance_scale: float | None


class StoredEdit(_Part):
    """See Edit; its pictures are the job's inputs, the mask the last of them."""

    masked: bool
    strength: float | None
    faithful: bool
    as_references: bool
    dressing: StoredDressing | None = None


class StoredGeneration(StoredOrder):
    """See GenerateCommand; `edit` None: it begins from no picture."""

    facts: AnswerFacts
    model: str
    prompt: str
    negative_prompt: str
    seeds: tuple[int, ...]
    steps: int
    guidance_scale: float
    scheduler: str
    size: tuple[int, int] | None
    deterministic: bool
    partial_images: int
    output_format: Literal["png", "jpeg", "webp"]
    output_quality: int
    embed_parameters: bool
    guidance_interval: tuple[float, float]
    step_cache: float | None
    loras: tuple[StoredLora, ...]
    edit: StoredEdit | None


def write_generation(command: GenerateCommand, facts: AnswerFacts) -> StoredGeneration:
    """Without its pictures: see `generation_inputs`."""
    encoding, size, edit = command.encoding, command.size, command.edit
    return StoredGeneration(
        facts=facts,
        model=command.model,
        prompt=command.prompt,
        negative_prompt=command.negative_prompt,
        seeds=command.seeds,
        steps=command.steps,
        guidance_scale=command.guidance_scale,
        scheduler=command.scheduler,
        size=None if size is None else (size.width, size.height),
        deterministic=command.deterministic,
        partial_images=command.partial_images,
        output_format=encoding.format.value,
        output_quality=encoding.quality,
        embed_parameters=encoding.embed_parameters,
        guidance_interval=command.guidance_interval,
        step_cache=command.step_cache,
        loras=tuple(StoredLora(name=lora.name, scale=lora.scale) for lora in command.loras),
        edit=None if edit is None else _write_edit(edit),
    )


def _write_edit(edit: Edit) -> StoredEdit:
    how = edit.dressing
    return StoredEdit(
        masked=edit.mask is not None,
        strength=edit.strength,
        faithful=edit.faithful,
        as_references=edit.as_references,
        dressing=None
        if how is None
        else StoredDressing(thorough=how.thorough, steps=how.steps, guidance_scale=how.guidance_scale),
    )


def generation_inputs(command: GenerateCommand) -> tuple[PictureFile, ...]:
    """The pictures that it begins from."""
    edit = command.edit
    if edit is None:
        return ()
    return edit.images if edit.mask is None else (*edit.images, edit.mask)


def read_generation(stored: StoredGeneration, inputs: tuple[PictureFile, ...]) -> GenerateCommand:
    """What was written, with what `generation_inputs` gave then."""
    return GenerateCommand(
        model=stored.model,
        prompt=stored.prompt,
        negative_prompt=stored.negative_prompt,
        seeds=stored.seeds,
        steps=stored.steps,
        guidance_scale=stored.guidance_scale,
        scheduler=stored.scheduler,
        size=None if stored.size is None else PictureSize(*stored.size),
        deterministic=stored.deterministic,
        partial_images=stored.partial_images,
        encoding=PictureEncoding(PictureFormat(stored.output_format), stored.output_quality, stored.embed_parameters),
        guidance_interval=stored.guidance_interval,
        step_cache=stored.step_cache,
        loras=tuple(Lora(lora.name, lora.scale) for lora in stored.loras),
        edit=None if stored.edit is None else _read_edit(stored.edit, inputs),
    )


def _read_edit(stored: StoredEdit, inputs: tuple[PictureFile, ...]) -> Edit:
    images, mask = (inputs[:-1], inputs[-1]) if stored.masked else (inputs, None)
    how = stored.dressing
    return Edit(
        images,
        mask,
        stored.strength,
        faithful=stored.faithful,
        as_references=stored.as_references,
        dressing=None if how is None else Dressing(how.thorough, how.steps, how.guidance_scale),
    )
