"""A TryOnCommand as a job keeps it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from gateway.api.tryon_wish import Showing
from gateway.domain.edits import PictureFile
from gateway.domain.pictures import PictureEncoding, PictureFormat
from gateway.domain.tryon import (
    GarmentCategory,
    GarmentPhoto,
    GarmentPicture,
    MaskPolarity,
    MergeStyle,
    Preserved,
    TryOnCommand,
    TryOnMask,
    TryOnMode,
)
from gateway.pipelines.jobs.handler import StoredOrder


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StoredGarment(_Part):
    """See GarmentPicture."""

    category: GarmentCategory | None
    photo: GarmentPhoto | None


class StoredShowing(_Part):
    """See Showing; a job's pictures are links."""

    intermediates: bool
    mask: bool
    warnings: tuple[str, ...]


class StoredTryOn(StoredOrder):
    """See TryOnCommand; its pictures are the job's inputs: the person, the garments, the mask.

    `polarity` is None without a mask.
    """

    showing: StoredShowing
    mode: TryOnMode
    garments: tuple[StoredGarment, ...]
    polarity: MaskPolarity | None
    seed: int
    output_format: Literal["png", "jpeg", "webp"]
    output_quality: int
    preserve: tuple[Preserved, ...]
    merge: MergeStyle
    samples: int
    model: str | None
    steps: int | None
    guidance_scale: float | None
    scheduler: str | None
    candidates: int | None
    refine: bool | None
    intermediates: bool
    partial_images: int
    deterministic: bool


def write_tryon(command: TryOnCommand, showing: Showing) -> StoredTryOn:
    """Without its pictures: see `tryon_inputs`."""
    return StoredTryOn(
        showing=StoredShowing(intermediates=showing.intermediates, mask=showing.mask, warnings=showing.warnings),
        mode=command.mode,
        garments=tuple(StoredGarment(category=each.category, photo=each.photo) for each in command.garments),
        polarity=None if command.mask is None else command.mask.polarity,
        seed=command.seed,
        output_format=command.encoding.format.value,
        output_quality=command.encoding.quality,
        preserve=tuple(sorted(command.preserve)),
        merge=command.merge,
        samples=command.samples,
        model=command.model,
        steps=command.steps,
        guidance_scale=command.guidance_scale,
        scheduler=command.scheduler,
        candidates=command.candidates,
        refine=command.refine,
        intermediates=command.intermediates,
        partial_images=command.partial_images,
        deterministic=command.deterministic,
    )


def tryon_inputs(command: TryOnCommand) -> tuple[PictureFile, ...]:
    """Its pictures, in the order that `read_tryon` wants."""
    mask = () if command.mask is None else (command.mask.picture,)
    return (command.person, *(garment.picture for garment in command.garments), *mask)


def read_tryon(stored: StoredTryOn, inputs: tuple[PictureFile, ...]) -> TryOnCommand:
    """What was written, with what `tryon_inputs` gave then."""
    person, *others = inputs
    mask = None if stored.polarity is None else TryOnMask(others.pop(), stored.polarity)
    return TryOnCommand(
        mode=stored.mode,
        person=person,
        garments=tuple(
            GarmentPicture(picture, garment.category, garment.photo)
            for picture, garment in zip(others, stored.garments, strict=True)
        ),
        seed=stored.seed,
        encoding=PictureEncoding(PictureFormat(stored.output_format), stored.output_quality, embed_parameters=False),
        mask=mask,
        preserve=frozenset(stored.preserve),
        merge=stored.merge,
        samples=stored.samples,
        model=stored.model,
        steps=stored.steps,
        guidance_scale=stored.guidance_scale,
        scheduler=stored.scheduler,
        candidates=stored.candidates,
        refine=stored.refine,
        intermediates=stored.intermediates,
        partial_images=stored.partial_images,
        deterministic=stored.deterministic,
    )


def read_showing(stored: StoredShowing) -> Showing:
    """How the job's answer looks."""
    return Showing(inline=False, intermediates=stored.intermediates, mask=stored.mask, warnings=stored.warnings)
