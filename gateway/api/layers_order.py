"""A LayersCommand as a job keeps it."""

from typing import Literal

from gateway.api.generation_answer import AnswerFacts
from gateway.api.generation_order import StoredGeneration, read_generation, write_generation
from gateway.domain.edits import PictureFile
from gateway.domain.layering import LayersCommand, LayersWish
from gateway.domain.layers import LayersFormat
from gateway.domain.pictures import PictureFormat
from gateway.pipelines.jobs.handler import StoredOrder

_NO_FACTS = AnswerFacts(quality="", safety_identifier=None)
"""Of an answer that nobody is given: the layers are what is asked for."""


class StoredLayers(StoredOrder):
    """See LayersWish. Its picture is the job's only input, unless `generate` says how it is drawn."""

    generate: StoredGeneration | None
    model: str
    prompt: str
    negative_prompt: str
    layers: int | None
    resolution: int
    seed: int
    steps: int
    guidance_scale: float
    scheduler: str
    output: LayersFormat
    output_format: Literal["png", "webp"]
    deterministic: bool
    partial_images: int
    decompose: tuple[int, ...]


def write_layers(command: LayersCommand) -> StoredLayers:
    """Without its picture: see `layers_inputs`."""
    wish, source = command.wish, command.source
    return StoredLayers(
        generate=None if isinstance(source, PictureFile) else write_generation(source, _NO_FACTS),
        model=wish.model,
        prompt=wish.prompt,
        negative_prompt=wish.negative_prompt,
        layers=wish.layers,
        resolution=wish.resolution,
        seed=wish.seed,
        steps=wish.steps,
        guidance_scale=wish.guidance_scale,
        scheduler=wish.scheduler,
        output=wish.output,
        output_format="webp" if wish.format is PictureFormat.WEBP else "png",
        deterministic=wish.deterministic,
        partial_images=wish.partial_images,
        decompose=wish.decompose,
    )


def layers_inputs(command: LayersCommand) -> tuple[PictureFile, ...]:
    """The picture that came in."""
    return (command.source,) if isinstance(command.source, PictureFile) else ()


def read_layers(stored: StoredLayers, inputs: tuple[PictureFile, ...]) -> LayersCommand:
    """What was written, with what `layers_inputs` gave then."""
    wish = LayersWish(
        model=stored.model,
        prompt=stored.prompt,
        negative_prompt=stored.negative_prompt,
        layers=stored.layers,
        resolution=stored.resolution,
        seed=stored.seed,
        steps=stored.steps,
        guidance_scale=stored.guidance_scale,
        scheduler=stored.scheduler,
        output=stored.output,
        format=PictureFormat(stored.output_format),
        deterministic=stored.deterministic,
        partial_images=stored.partial_images,
        decompose=stored.decompose,
    )
    return LayersCommand(inputs[0] if stored.generate is None else read_generation(stored.generate, ()), wish)
