"""Prompts, and pictures that came in, to pictures: tokenise, read, encode, denoise, decode, write files."""

import asyncio

from families.manifest import ModelManifest
from gateway.domain.backend import InferenceBackend, Latents, Pixels, Release
from gateway.domain.errors import InvalidRequest
from gateway.domain.pictures import GenerateCommand, Generated, GenerateListener, Picture
from gateway.domain.telemetry import Stage, Telemetry
from gateway.pipelines.admission import Admission
from gateway.pipelines.canvas import Canvas
from gateway.pipelines.conditions import prompt_conditions
from gateway.pipelines.drawing import Drawing
from gateway.pipelines.edit import prepare_canvas
from gateway.pipelines.embedding_cache import EmbeddingCache
from gateway.pipelines.first_told import FirstTold
from gateway.pipelines.imaging import PictureEncoder
from gateway.pipelines.incoming import PictureReader
from gateway.pipelines.lora import known_loras, text_loras
from gateway.pipelines.models import ModelLibrary, ServedModel
from gateway.pipelines.previews import with_previews
from gateway.pipelines.prompts import cut_warnings
from gateway.pipelines.purpose import purpose_of
from gateway.pipelines.sampling import Sampling
from gateway.pipelines.turn import Turns


class GeneratePipeline:
    """Runs GenerateCommands. Holds no state of its own between them."""

    def __init__(
        self,
        *,
        backend: InferenceBackend,
        models: ModelLibrary,
        embeddings: EmbeddingCache,
        encoder: PictureEncoder,
        reader: PictureReader,
        admission: Admission,
        telemetry: Telemetry,
        timeout_seconds: float,
    ) -> None:
        self._backend = backend
        self._models = models
        self._embeddings = embeddings
        self._encoder = encoder
        self._reader = reader
        self._sampling = Sampling(backend, telemetry)
        self._turns = Turns(admission, telemetry, timeout_seconds)

    async def run(self, command: GenerateCommand, listener: GenerateListener | None) -> Generated:
        """Wait for a permit, then generate; `listener` None: nobody is told of anything in the meantime.

        Cancelling the task stops the backend's work within one step. Raises Overloaded, Draining, RequestTimedOut,
        ModelNotFound or a BackendError.
        """
        async with self._turns.take(len(command.seeds)):
            return await self._generate(command, listener)

    async def _generate(self, command: GenerateCommand, listener: GenerateListener | None) -> Generated:
        model = self._models.find(command.model)
        check_prompted(model)
        known_loras(command.loras, model)
        guided = model.manifest.guided and command.guidance_scale > 1
        canvas = await self._canvas(command, model.manifest)
        positive = model.tokenizer.encode(command.prompt, canvas.shown)
        negative = model.tokenizer.encode(command.negative_prompt, canvas.shown)
        drawing = Drawing(
            command=command,
            model=model,
            prompts=(negative, positive) if guided else (positive,),
            canvas=canvas,
            listener=None if listener is None else FirstTold(listener),
        )
        pictures = await self._sampling.released(command.model, lambda release: self._draw(drawing, release))
        return Generated(pictures, drawing.usage, (*cut_warnings(positive, negative), *canvas.warnings))

    async def _canvas(self, command: GenerateCommand, manifest: ModelManifest) -> Canvas:
        if command.edit is not None:
            with self._sampling.timed(Stage.READ_IMAGE):
                return await prepare_canvas(command, command.edit, manifest, self._reader)
        assert command.size is not None, "only an edit takes its size from a picture"
        return Canvas(command.size)

    async def _draw(self, drawing: Drawing, release: Release) -> tuple[Picture, ...]:
        async def render(latents: Latents) -> tuple[Picture, ...]:
            return await self._render(drawing, release, latents)

        deterministic = drawing.command.deterministic
        with self._sampling.timed(Stage.TEXT_ENCODE):
            conditions = await prompt_conditions(
                self._embeddings,
                drawing.model,
                release,
                drawing.prompts,
                deterministic=deterministic,
                loras=text_loras(drawing.command.loras, drawing.model),
            )
        beginning, references = await self._encode_pictures(drawing, release)
        job = drawing.job(release, conditions, beginning, references)
        return await render(await with_previews(self._sampling, job, render, drawing.listener))

    async def _encode_pictures(self, drawing: Drawing, release: Release) -> tuple[Latents | None, tuple[Latents, ...]]:
        """Of the canvas: the picture that is begun from, and the references; one after the other, of any sizes."""
        canvas = drawing.canvas
        if canvas.beginning is None and not canvas.references:
            return None, ()

        async def encode(pixels: Pixels) -> Latents:
            return await self._backend.encode_image(release, pixels, deterministic=drawing.command.deterministic)

        with self._sampling.timed(Stage.VAE_ENCODE):
            beginning = None if canvas.beginning is None else await encode(canvas.beginning.pixels)
            return beginning, tuple([await encode(pixels) for pixels in canvas.references])

    async def _render(self, drawing: Drawing, release: Release, latents: Latents) -> tuple[Picture, ...]:
        """Latents to picture files, one a seed."""
        command = drawing.command
        with self._sampling.timed(Stage.DECODE):
            pixels = await self._backend.decode(release, latents, deterministic=command.deterministic)

        async def file(index: int, seed: int) -> Picture:
            data, size = await self._encoder.encode(pixels[index], drawing.canvas, command, seed)
            return Picture(index, seed, data, size)

        with self._sampling.timed(Stage.ENCODE_IMAGE):
            return tuple(await asyncio.gather(*(file(index, seed) for index, seed in enumerate(command.seeds))))


def check_prompted(model: ServedModel) -> None:
    """Raises InvalidRequest for models that draw nothing from words."""
    if model.manifest.try_on is not None or model.manifest.layers is not None:
        raise InvalidRequest(
            f"the model {model.public_id} {purpose_of(model.manifest)}", code="model_needs_pictures", param="model"
        )
