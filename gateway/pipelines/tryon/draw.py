"""The generate stage: a person, a mask and a garment become pictures of the person wearing it."""

from dataclasses import dataclass

import numpy as np

from families.manifest import Component, ModelManifest
from families.strength import share_of_steps
from families.try_on_planes import beside, of_person, try_on_conditions
from families.try_on_rule import TryOnRule
from gateway.domain.backend import (
    DenoiseEvent,
    DenoiseJob,
    InferenceBackend,
    Latents,
    Pixels,
    Preview,
    Release,
    Start,
    StepDone,
)
from gateway.domain.errors import InvalidRequest
from gateway.domain.pictures import Picture
from gateway.domain.telemetry import Stage, Telemetry
from gateway.domain.tryon_drawing import DrawsTryOn, TryOnDrawing, TryOnDrawingListener
from gateway.pipelines import pixel_space
from gateway.pipelines.drawing import preview_steps
from gateway.pipelines.models import ModelLibrary, ServedModel
from gateway.pipelines.previews import Previews
from gateway.pipelines.sampling import Sampling
from gateway.pipelines.try_on_conditions import hidden, planes


class _FirstTold:
    """What is begun again after a release was replaced is not told a second time."""

    def __init__(self, listener: TryOnDrawingListener, steps: int) -> None:
        self._listener = listener
        self._steps = steps
        self._started = False
        self._done = 0
        self._shown = 0

    def hear(self, event: DenoiseEvent) -> None:
        if not self._started:
            self._started = True
            self._listener.started()
        if isinstance(event, StepDone | Preview) and event.step > self._done:
            self._done = event.step
            self._listener.step(event.step, self._steps)

    def preview(self, order: int, pixels: Pixels) -> None:
        if order >= self._shown:
            self._shown = order + 1
            self._listener.preview(order, pixels)


@dataclass(frozen=True, slots=True)
class _Work:
    """One drawing."""

    backend: InferenceBackend
    sampling: Sampling
    manifest: ModelManifest
    rule: TryOnRule
    drawing: TryOnDrawing
    told: _FirstTold | None

    async def draw(self, release: Release) -> Pixels:
        """All of it by this release."""
        shown = 0

        async def show(latents: Latents) -> tuple[Picture, ...]:
            nonlocal shown
            pixels = await self._decode(release, latents)
            if self.told is not None:
                self.told.preview(shown, pixels)
            shown += 1
            return ()

        def hear(event: DenoiseEvent) -> None:
            if self.told is not None:
                self.told.hear(event)
            if isinstance(event, Preview):
                previews.add(event.latents)

        job = self._job(release, await self._encode(release))
        previews = Previews(show, None)
        async with previews.running():
            latents = await self.sampling.latents(job, hear)
        return await self._decode(release, latents)

    async def _encode(self, release: Release) -> Latents:
        """Latents [2 or 3, C, rows, columns] of the hidden person, the garment and the draft, by one call."""
        drawing = self.drawing
        person = hidden(drawing.person, drawing.mask, self.rule.hidden_level)
        drafts = [] if drawing.draft is None else [drawing.draft.pixels]
        pixels = np.stack([person, drawing.garment, *drafts])
        if Component.VAE_ENCODER not in self.manifest.components:
            return pixel_space.to_latents(pixels)
        with self.sampling.timed(Stage.VAE_ENCODE):
            return await self.backend.encode_image(release, pixels, deterministic=drawing.deterministic)

    def _job(self, release: Release, latents: Latents) -> DenoiseJob:
        drawing, manifest = self.drawing, self.manifest
        guided = manifest.guided and drawing.guidance_scale > 1
        parts = planes(manifest, self.rule, drawing, latents)
        rows, columns = manifest.latent_size(drawing.size.height, drawing.size.width)
        return DenoiseJob(
            release=release,
            conditions=try_on_conditions(manifest, parts, guided=guided),
            seeds=drawing.seeds,
            steps=drawing.steps,
            guidance_scale=drawing.guidance_scale,
            scheduler=drawing.scheduler,
            latent_height=rows,
            latent_width=columns,
            deterministic=drawing.deterministic,
            preview_steps=() if self.told is None else preview_steps(drawing.previews, drawing.steps),
            guidance_interval=(0.0, _guided_share(drawing.steps, self.rule.unguided_steps)),
            start=self._start(latents),
            progress=self.told is not None,
        )

    def _start(self, latents: Latents) -> Start | None:
        """The draft, where there is one; the garment's part begins from the garment."""
        if self.drawing.draft is None:
            return None
        return Start(beside(self.rule, latents[2:], latents[1:2]).astype(np.float32), self.drawing.draft.strength)

    async def _decode(self, release: Release, latents: Latents) -> Pixels:
        person = of_person(self.rule, latents)
        if Component.VAE_DECODER not in self.manifest.components:
            return pixel_space.to_pixels(person)
        with self.sampling.timed(Stage.DECODE):
            return await self.backend.decode(release, person, deterministic=self.drawing.deterministic)


class TryOnDraw(DrawsTryOn):
    """Holds no state between drawings."""

    def __init__(self, backend: InferenceBackend, models: ModelLibrary, telemetry: Telemetry) -> None:
        self._backend = backend
        self._models = models
        self._sampling = Sampling(backend, telemetry)

    async def draw(self, drawing: TryOnDrawing, listener: TryOnDrawingListener | None) -> Pixels:
        """See DrawsTryOn."""
        model = self._models.find(drawing.model)
        rule = _rule(model)
        _check(drawing, model.manifest)
        told = None if listener is None else _FirstTold(listener, drawing.steps)
        work = _Work(self._backend, self._sampling, model.manifest, rule, drawing, told)
        return await self._sampling.released(model.manifest.name, work.draw)


def _rule(model: ServedModel) -> TryOnRule:
    rule = model.manifest.try_on
    if rule is None:
        raise InvalidRequest(f"the model {model.public_id} dresses nobody: it takes prompts", param="model")
    return rule


def _check(drawing: TryOnDrawing, manifest: ModelManifest) -> None:
    """Raises InvalidRequest."""
    size, rule = drawing.size, manifest.size
    drafts = [] if drawing.draft is None else [drawing.draft.pixels[..., 0]]
    for pixels in (drawing.mask, drawing.garment[..., 0], *drafts):
        if pixels.shape != (size.height, size.width):
            raise ValueError(f"person {size}, and mask or garment of {pixels.shape[1]}x{pixels.shape[0]} pixels")
    if all(isinstance(dim, int) for dim in manifest.denoiser.inputs[0].dims):
        if (size.width, size.height) != (rule.default_width, rule.default_height):
            fixed = f"{rule.default_width}x{rule.default_height}"
            raise InvalidRequest(f"{manifest.name} draws {fixed} pixels alone, not {size}", param="model")
        return
    for side in (size.width, size.height):
        if side % rule.multiple or not rule.minimum <= side <= rule.maximum:
            raise InvalidRequest(
                f"{manifest.name} draws sides of {rule.minimum} to {rule.maximum} pixels in steps of {rule.multiple}, "
                f"not {size}",
                param="model",
            )


def _guided_share(steps: int, unguided: int) -> float:
    """The share of the steps that goes with guidance, never rounded below its last step."""
    return share_of_steps(max(0, steps - unguided), steps)
