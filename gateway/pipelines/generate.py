"""Text to pictures: tokenise, encode, denoise, decode, write files."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

import numpy as np

from families.manifest import GuidanceKind
from families.tensors import NamedTensor
from gateway.domain.backend import Denoised, DenoiseJob, InferenceBackend, Latents, Preview
from gateway.domain.errors import (
    BackendFailed,
    BackendTimeout,
    Draining,
    GatewayError,
    Overloaded,
    QueueFull,
    RequestTimedOut,
)
from gateway.domain.pictures import (
    GenerateCommand,
    Generated,
    GenerateListener,
    PartialPicture,
    Picture,
    TokenUsage,
)
from gateway.domain.telemetry import Outcome, Stage, Telemetry
from gateway.pipelines.admission import Admission
from gateway.pipelines.embedding_cache import EmbeddingCache
from gateway.pipelines.imaging import PictureEncoder, parameters_text
from gateway.pipelines.models import ModelLibrary, ServedModel
from gateway.pipelines.prompts import TokenizedPrompt

logger = logging.getLogger(__name__)

_PATCH = 16
"""Side in pixels of what usage counts as one image token."""


class GeneratePipeline:
    """Runs GenerateCommands. Holds no state of its own between them."""

    def __init__(
        self,
        *,
        backend: InferenceBackend,
        models: ModelLibrary,
        embeddings: EmbeddingCache,
        encoder: PictureEncoder,
        admission: Admission,
        telemetry: Telemetry,
        timeout_seconds: float,
    ) -> None:
        self._backend = backend
        self._models = models
        self._embeddings = embeddings
        self._encoder = encoder
        self._admission = admission
        self._telemetry = telemetry
        self._timeout = timeout_seconds

    async def run(self, command: GenerateCommand, listener: GenerateListener | None) -> Generated:
        """Wait for a permit, then generate; `listener` None: nobody is told of anything in the meantime.

        Cancelling the task stops the backend's work within one step. Raises Overloaded, Draining, RequestTimedOut,
        ModelNotFound or a BackendError.
        """
        outcome = Outcome.FAILED
        try:
            async with self._deadline(), self._admission.slot():
                generated = await self._generate(command, listener)
            outcome = Outcome.COMPLETED
            return generated
        except asyncio.CancelledError:
            outcome = Outcome.CANCELLED
            raise
        except (RequestTimedOut, BackendTimeout):
            outcome = Outcome.TIMED_OUT
            raise
        except (Overloaded, QueueFull, Draining) as error:
            outcome = Outcome.REJECTED
            if error.retry_after is None:
                error.retry_after = self._admission.retry_after()
            raise
        finally:
            self._telemetry.generation(outcome, len(command.seeds))

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except TimeoutError as error:
            raise RequestTimedOut(f"the request took longer than {self._timeout:g} s and was stopped") from error

    async def _generate(self, command: GenerateCommand, listener: GenerateListener | None) -> Generated:
        model = self._models.find(command.model)
        positive = model.tokenizer.encode(command.prompt)
        negative = model.tokenizer.encode(command.negative_prompt)
        guided = model.manifest.guidance is GuidanceKind.BATCHED and command.guidance_scale > 1
        rows = np.concatenate([negative.ids, positive.ids]) if guided else positive.ids

        with self._timed(Stage.TEXT_ENCODE):
            conditions = await self._embeddings.conditions(
                model.manifest.name, rows, deterministic=command.deterministic
            )
        previews = _Previews(self, command, listener)
        async with previews.running():
            with self._timed(Stage.DENOISE):
                latents = await self._denoise(_job(command, model, conditions, listener), listener, previews)
        pictures = await self._finish(command, latents)
        text_tokens = positive.kept + (negative.kept if guided else 0)
        return Generated(pictures, _usage(command, text_tokens), _warnings(positive, negative))

    async def _denoise(self, job: DenoiseJob, listener: GenerateListener | None, previews: "_Previews") -> Latents:
        started = False
        async with aclosing(self._backend.denoise(job)) as events:
            async for event in events:
                if listener is not None and not started:
                    started = True
                    listener.started()
                if isinstance(event, Preview):
                    previews.add(event.latents)
                elif isinstance(event, Denoised):
                    return event.latents
        raise BackendFailed("the denoiser's events ended without latents")

    async def _finish(self, command: GenerateCommand, latents: Latents) -> tuple[Picture, ...]:
        files = await self.render(command, latents)
        return tuple(
            Picture(index, seed, data) for index, (seed, data) in enumerate(zip(command.seeds, files, strict=True))
        )

    async def render(self, command: GenerateCommand, latents: Latents) -> list[bytes]:
        """Latents to picture files, one a seed."""
        with self._timed(Stage.DECODE):
            pixels = await self._backend.decode(command.model, latents, deterministic=command.deterministic)
        with self._timed(Stage.ENCODE_IMAGE):
            return await asyncio.gather(
                *(
                    self._encoder.encode(picture, command.encoding, parameters_text(command, seed))
                    for picture, seed in zip(pixels, command.seeds, strict=True)
                )
            )

    @contextmanager
    def _timed(self, stage: Stage) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self._telemetry.stage(stage, time.monotonic() - begun)


class _Previews:
    """Renders previews in order beside the denoising, so that a slow decode never holds back the steps' events."""

    def __init__(self, pipeline: GeneratePipeline, command: GenerateCommand, listener: GenerateListener | None) -> None:
        self._pipeline = pipeline
        self._command = command
        self._listener = listener
        self._waiting: asyncio.Queue[Latents | None] = asyncio.Queue()

    def add(self, latents: Latents) -> None:
        """Render these next."""
        self._waiting.put_nowait(latents)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Leaves when every preview was shown. An error on either side ends both and is raised as itself."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._render_all())
                yield
                self._waiting.put_nowait(None)
        except* GatewayError as errors:
            raise errors.exceptions[0] from None

    async def _render_all(self) -> None:
        order = 0
        while (latents := await self._waiting.get()) is not None:
            for index, data in enumerate(await self._pipeline.render(self._command, latents)):
                if self._listener is not None:
                    self._listener.partial(PartialPicture(index, order, data))
            order += 1


def preview_steps(partial_images: int, steps: int) -> tuple[int, ...]:
    """After which steps to show `partial_images` estimates: evenly spread, never the last step, never one twice."""
    wanted = (round(steps * (order + 1) / (partial_images + 1)) for order in range(partial_images))
    return tuple(sorted({step for step in wanted if 1 <= step < steps}))


def _job(
    command: GenerateCommand,
    model: ServedModel,
    conditions: tuple[NamedTensor, ...],
    listener: GenerateListener | None,
) -> DenoiseJob:
    cell = model.manifest.latent.downscale
    return DenoiseJob(
        model=model.manifest.name,
        conditions=conditions,
        seeds=command.seeds,
        steps=command.steps,
        guidance_scale=command.guidance_scale,
        scheduler=command.scheduler,
        latent_height=command.height // cell,
        latent_width=command.width // cell,
        deterministic=command.deterministic,
        preview_steps=() if listener is None else preview_steps(command.partial_images, command.steps),
        progress=listener is not None,
    )


def _usage(command: GenerateCommand, text_tokens: int) -> TokenUsage:
    patches = -(-command.width // _PATCH) * -(-command.height // _PATCH)
    return TokenUsage(text_tokens, patches, len(command.seeds))


def _warnings(positive: TokenizedPrompt, negative: TokenizedPrompt) -> tuple[str, ...]:
    """One sentence for each prompt that lost its end, logged too."""
    sentences = tuple(
        f"{field} was cut: the model reads {tokens.kept} tokens and the last {tokens.dropped} had no effect"
        for field, tokens in (("prompt", positive), ("negative_prompt", negative))
        if tokens.dropped
    )
    for sentence in sentences:
        logger.warning(sentence)
    return sentences
