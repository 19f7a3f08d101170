"""From a try-on request to a complete command: everything is checked before any picture is fetched."""

from dataclasses import dataclass

from gateway.api.tryon_body import TryOnBody
from gateway.api.tryon_pictures import TryOnFiles
from gateway.api.tryon_request import TryOnRequest
from gateway.api.tryon_sources import TryOnPictures, polarity_of, read_pictures
from gateway.api.tryon_wish import (
    Showing,
    categories_of,
    check_mode,
    encoding_of,
    merge_of,
    photo_of,
    preserved_of,
    samples_of,
    showing_of,
    steps_of,
)
from gateway.domain.pictures import PictureEncoding
from gateway.domain.tryon import (
    GarmentCategory,
    GarmentPicture,
    MaskPolarity,
    MergeStyle,
    TryOnCommand,
    TryOnMask,
    TryOnMode,
)


@dataclass(frozen=True, slots=True)
class TryOnPlan:
    """A request that is right as far as can be said without its pictures."""

    body: TryOnRequest
    mode: TryOnMode
    pictures: TryOnPictures
    categories: tuple[GarmentCategory | None, ...]
    polarity: MaskPolarity
    merge: MergeStyle
    samples: int
    steps: int | None
    encoding: PictureEncoding
    showing: Showing

    def command(self, files: TryOnFiles, seed: int) -> TryOnCommand:
        """With the pictures open."""
        body, photo = self.body, photo_of(self.body)
        return TryOnCommand(
            mode=self.mode,
            person=files.person,
            garments=tuple(
                GarmentPicture(picture, category, photo)
                for picture, category in zip(files.garments, self.categories, strict=True)
            ),
            seed=seed,
            encoding=self.encoding,
            mask=None if files.mask is None else TryOnMask(files.mask, self.polarity),
            preserve=preserved_of(body),
            merge=self.merge,
            samples=self.samples,
            model=body.model,
            steps=self.steps,
            guidance_scale=body.guidance_scale,
            scheduler=body.scheduler,
            candidates=body.candidates,
            refine=body.refine,
            intermediates=self.showing.intermediates or self.showing.mask,
            partial_images=body.partial_images or 0,
            deterministic=bool(body.deterministic),
        )


def plan_tryon(given: TryOnBody, mode: TryOnMode) -> TryOnPlan:
    """Raises InputValidationError naming the field."""
    body = given.fields
    pictures = read_pictures(body, given.files)
    check_mode(body, mode)
    return TryOnPlan(
        body=body,
        mode=mode,
        pictures=pictures,
        categories=categories_of(body, len(pictures.garments)),
        polarity=polarity_of(body, pictures.mask),
        merge=merge_of(body),
        samples=samples_of(body),
        steps=steps_of(body),
        encoding=encoding_of(body),
        showing=showing_of(body),
    )
