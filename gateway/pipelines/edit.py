"""From an edit's files to the canvas that the model draws on."""

import asyncio
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from families.manifest import Component, ModelManifest, ReferenceRule
from families.strength import steps_done
from gateway.domain.edits import Edit
from gateway.domain.errors import InvalidRequest
from gateway.domain.pictures import GenerateCommand, PictureSize
from gateway.pipelines.canvas import Beginning, Canvas, Composite, Placement
from gateway.pipelines.frame import Frame, cover, size_of
from gateway.pipelines.incoming import IncomingPicture, PictureReader
from gateway.pipelines.masks import Mask
from gateway.pipelines.prompts import show
from gateway.pipelines.references import reference_pixels

STRENGTH = 0.8
FAITHFUL_STRENGTH = 0.5
"""Of an edit without a mask: low and high fidelity."""
MASKED_STRENGTH = 1.0
FAITHFUL_MASKED_STRENGTH = 0.8
"""Of what a mask lets be drawn anew."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The picture that is changed [height, width, 3] at the answer's size, and what of it is drawn anew (None: all)."""

    pixels: npt.NDArray[np.uint8]
    mask: Mask | None


async def prepare_canvas(
    command: GenerateCommand, edit: Edit, manifest: ModelManifest, reader: PictureReader
) -> Canvas:
    """Reads the command's files; everything heavy happens in threads. Raises InvalidRequest naming the field."""
    rule = _reference_rule(edit, manifest)
    _check_count(edit, manifest, rule)
    images = [await reader.read(file) for file in edit.images]
    mask = None if edit.mask is None else await reader.read(edit.mask)
    return await asyncio.to_thread(_lay_out, command, edit, images, mask, manifest)


def _reference_rule(edit: Edit, manifest: ModelManifest) -> ReferenceRule | None:
    return manifest.references if edit.as_references else None


def _check_count(edit: Edit, manifest: ModelManifest, rule: ReferenceRule | None) -> None:
    if Component.VAE_ENCODER not in manifest.components:
        raise InvalidRequest(f"the model {manifest.name} takes no pictures, only prompts", param="model")
    most = 1 if rule is None else rule.most
    if len(edit.images) > most:
        raise InvalidRequest(
            f"'image' has {len(edit.images)} pictures; {manifest.name} takes at most {most}",
            code="too_many_images",
            param="image",
        )


def _lay_out(
    command: GenerateCommand,
    edit: Edit,
    images: list[IncomingPicture],
    mask_picture: IncomingPicture | None,
    manifest: ModelManifest,
) -> Canvas:
    rule = _reference_rule(edit, manifest)
    pixels, mask = images[0].pixels, _given_mask(images[0], mask_picture)
    if rule is None:
        return _begun(command, edit, _Source(pixels, mask or _own_mask(images[0])), manifest)
    if mask is None:
        canvas = _empty(command, edit, size_of(pixels), manifest)
    else:
        canvas = _begun(command, edit, _Source(pixels, mask), manifest)
    looks = manifest.picture_rule
    return replace(
        canvas,
        references=tuple(reference_pixels(image.pixels, rule, manifest.size)[None] for image in images),
        shown=None if looks is None else show([image.pixels for image in images], looks),
    )


def _begun(command: GenerateCommand, edit: Edit, source: _Source, manifest: ModelManifest) -> Canvas:
    """The model goes on from the source."""
    warnings: list[str] = []
    if command.size is not None and command.size != size_of(source.pixels):
        source = _resized(source, command.size, warnings)
    finish: Placement | Composite
    if source.mask is None:
        finish = _placed(size_of(source.pixels), manifest, warnings)
    else:
        finish = _composite(source, source.mask, manifest, warnings)
    frame = finish.frame
    beginning = Beginning(
        frame.to_model(source.pixels)[None],
        _strength(command, edit, manifest, masked=source.mask is not None),
        None if source.mask is None else source.mask.cells(frame, manifest.latent.mask_cell),
    )
    return Canvas(frame.padded, beginning, finish=finish, warnings=tuple(warnings))


def _empty(command: GenerateCommand, edit: Edit, own: PictureSize, manifest: ModelManifest) -> Canvas:
    """The model begins with nothing but noise; `own` is the size of the first reference picture."""
    if edit.strength is not None:
        raise InvalidRequest(
            f"'strength' needs a mask with {manifest.name}, which takes pictures as references", param="strength"
        )
    warnings: list[str] = []
    finish = _placed(command.size or own, manifest, warnings)
    return Canvas(finish.frame.padded, finish=finish, warnings=tuple(warnings))


def _given_mask(picture: IncomingPicture, given: IncomingPicture | None) -> Mask | None:
    if given is None:
        return None
    if given.alpha is None:
        raise InvalidRequest(
            "'mask' has no alpha channel; transparent pixels mark what is drawn anew, opaque ones what stays",
            param="mask",
        )
    if given.alpha.shape != picture.pixels.shape[:2]:
        raise InvalidRequest(
            f"'mask' has {size_of(given.pixels)} pixels and the picture {size_of(picture.pixels)}; "
            "both must be of the same size",
            param="mask",
        )
    if given.alpha.min() == 255:
        raise InvalidRequest("'mask' is opaque everywhere, which leaves nothing to be drawn", param="mask")
    return Mask(~given.alpha)


def _own_mask(picture: IncomingPicture) -> Mask | None:
    """The transparent parts of the picture itself."""
    if picture.alpha is None or picture.alpha.min() == 255:
        return None
    return Mask(~picture.alpha)


def _resized(source: _Source, size: PictureSize, warnings: list[str]) -> _Source:
    own = size_of(source.pixels)
    if own.width * size.height != own.height * size.width:
        warnings.append(f"the picture of {own} pixels was cut on two sides to the shape of {size}")
    pixels = cover(source.pixels, size)
    if source.mask is None:
        return _Source(pixels, None)
    edited = cover(source.mask.edited, size, Image.Resampling.BILINEAR)
    if not edited.any():
        raise InvalidRequest("'size' has another shape than the picture and cuts off all that is masked", param="size")
    return _Source(pixels, Mask(edited))


def _placed(own: PictureSize, manifest: ModelManifest, warnings: list[str]) -> Placement:
    frame = Frame.around(own, manifest.size)
    if not frame.scales_down:
        return Placement(frame, own)
    # Enlarging it again would only pretend to detail that was never drawn.
    warnings.append(f"the picture of {own} pixels is larger than {manifest.name} draws: the answer has {frame.scaled}")
    return Placement(frame, frame.scaled)


def _composite(source: _Source, mask: Mask, manifest: ModelManifest, warnings: list[str]) -> Composite:
    frame = Frame.around_region(size_of(source.pixels), mask.box, manifest.size)
    if frame.scales_down:
        warnings.append(
            f"what is masked is larger than {manifest.name} draws: it was drawn with {frame.scaled} pixels "
            f"and enlarged to {frame.box.size}"
        )
    return Composite(frame, source.pixels, mask.weights(frame.box))


def _strength(command: GenerateCommand, edit: Edit, manifest: ModelManifest, *, masked: bool) -> float:
    """At least one step: a strength that was asked for and is less is an error."""
    strength = edit.strength
    if strength is None:
        usual, faithful = (MASKED_STRENGTH, FAITHFUL_MASKED_STRENGTH) if masked else (STRENGTH, FAITHFUL_STRENGTH)
        # Rounded up: a third of three steps must not come out as none.
        return max(faithful if edit.faithful else usual, math.ceil(1e6 / command.steps) / 1e6)
    if steps_done(manifest.noise.prediction, command.steps, strength) == 0:
        raise InvalidRequest(
            f"'strength' {strength:g} of {command.steps} steps is less than one step; "
            f"allowed: at least {math.ceil(1e6 / command.steps) / 1e6:g}",
            param="strength",
        )
    return strength
