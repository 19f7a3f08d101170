"""Edits by models that dress people, as try-ons: plain OpenAI clients need no other route."""

from gateway.domain.edits import Dressing, Edit, PictureFile
from gateway.domain.errors import InvalidRequest
from gateway.domain.pictures import DrawsPictures, GenerateCommand, Generated, GenerateListener, PartialPicture
from gateway.domain.tryon import (
    MOST_GARMENTS,
    GarmentPicture,
    MaskPolarity,
    TryOnCommand,
    TryOnListener,
    TryOnMask,
    TryOnMode,
    TryOnStage,
)
from gateway.domain.tryon_port import TryOnRunner


class TryOnEdits(DrawsPictures):
    """Takes what asks for dressing; everything else goes to `others`."""

    def __init__(self, tryon: TryOnRunner, others: DrawsPictures) -> None:
        self._tryon = tryon
        self._others = others

    async def run(self, command: GenerateCommand, listener: GenerateListener | None) -> Generated:
        """See DrawsPictures."""
        edit = command.edit
        if edit is None or edit.dressing is None:
            return await self._others.run(command, listener)
        told = None if listener is None else _Told(listener)
        result = await self._tryon.run(tryon_command(command, edit, edit.dressing), told)
        return Generated(tuple(tried.picture for tried in result.pictures), result.usage, result.warnings)


def tryon_command(command: GenerateCommand, edit: Edit, how: Dressing) -> TryOnCommand:
    """The first picture is the person, the others are garments. Raises InvalidRequest."""
    garments = edit.images[1:]
    if not 1 <= len(garments) <= MOST_GARMENTS:
        raise InvalidRequest(
            f"'image' has {len(edit.images)} pictures; {command.model} takes a person and a garment, or a person, "
            "a top and bottoms",
            param="image",
        )
    return TryOnCommand(
        mode=TryOnMode.PREMIUM if how.thorough else TryOnMode.FAST,
        person=_named(edit.images[0], "image[0]"),
        garments=tuple(
            GarmentPicture(_named(garment, f"image[{place}]")) for place, garment in enumerate(garments, start=1)
        ),
        seed=command.seeds[0],
        encoding=command.encoding,
        mask=None if edit.mask is None else TryOnMask(edit.mask, MaskPolarity.TRANSPARENT),
        samples=len(command.seeds),
        model=command.model,
        steps=how.steps,
        guidance_scale=how.guidance_scale,
        partial_images=command.partial_images,
        deterministic=command.deterministic,
    )


def _named(picture: PictureFile, field: str) -> PictureFile:
    """Errors say which of the pictures they mean."""
    return PictureFile(field, picture.file)


class _Told(TryOnListener):
    def __init__(self, listener: GenerateListener) -> None:
        self._listener = listener

    def started(self) -> None:
        self._listener.started()

    def stage_began(self, stage: TryOnStage) -> None:
        """Edits tell of no stages."""

    def stage_ended(self, stage: TryOnStage, seconds: float) -> None:
        """Edits tell of no stages."""

    def progress(self, share: float) -> None:
        self._listener.progress(share)

    def partial(self, picture: PartialPicture) -> None:
        self._listener.partial(picture)
