"""What a try-on made, as files and figures for its caller."""

import io
from collections.abc import Sequence

from PIL import Image

from gateway.domain.pictures import Picture, TokenUsage
from gateway.domain.tryon import Candidate, StagePicture, TriedOn, TryOnCommand
from gateway.domain.tryon_drawing import Rgb
from gateway.pipelines.drawing import patches
from gateway.pipelines.frame import size_of
from gateway.pipelines.imaging import encode_picture
from gateway.pipelines.tryon.parts import Drawing
from gateway.pipelines.tryon.plan import Plan
from gateway.pipelines.tryon.stage_pictures import Shown

_PNG_LEVEL = 1


def tried_on(command: TryOnCommand, plan: Plan, place: tuple[int, Drawing], pixels: Rgb) -> TriedOn:
    """The file of a finished photograph; `place`: its index and the drawing in it."""
    index, drawing = place
    size = size_of(pixels)
    parameters = (
        f"Try-on: {command.mode}\nSteps: {plan.steps}, Sampler: {plan.scheduler}, CFG scale: {plan.guidance_scale:g}, "
        f"Seed: {drawing.seed}, Size: {size}, Model: {plan.manifest.name}"
    )
    data = encode_picture(pixels, command.encoding, parameters)
    return TriedOn(Picture(index, drawing.seed, data, size), drawing.scores, drawing.refined)


def stage_file(shown: Shown) -> StagePicture:
    """As PNG."""
    target = io.BytesIO()
    Image.fromarray(shown.pixels).save(target, "PNG", compress_level=_PNG_LEVEL)
    return StagePicture(shown.name, target.getvalue())


def judged(drawings: Sequence[Drawing]) -> tuple[Candidate, ...]:
    """Scores of all that were judged."""
    return tuple(
        Candidate(drawing.seed, drawing.scores, drawing.refined) for drawing in drawings if drawing.scores is not None
    )


def usage(command: TryOnCommand, plan: Plan) -> TokenUsage:
    """Person and garments are read at the drawing's size, and candidates are drawn at it, answered or not."""
    each = patches(plan.drawn)
    rounds = len(command.garments)
    return TokenUsage(text=0, images=2 * each * rounds, per_picture=each * rounds, pictures=len(plan.seeds))
