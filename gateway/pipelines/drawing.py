"""One command with everything that its pictures are drawn from, and the backend's job that this makes."""

from dataclasses import dataclass

from families.strength import steps_done
from families.tensors import NamedTensor
from gateway.domain.backend import DenoiseJob, Latents, Release, Start
from gateway.domain.pictures import GenerateCommand, GenerateListener, PictureSize, TokenUsage
from gateway.pipelines.canvas import Canvas
from gateway.pipelines.models import ServedModel
from gateway.pipelines.prompts import TokenizedPrompt

_PATCH = 16
"""Side in pixels of what usage counts as one image token."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """`prompts`: the positive one, or negative and positive under guidance. `listener` None: nobody is told."""

    command: GenerateCommand
    model: ServedModel
    prompts: tuple[TokenizedPrompt, ...]
    canvas: Canvas
    listener: GenerateListener | None

    def job(
        self,
        release: Release,
        conditions: tuple[NamedTensor, ...],
        beginning: Latents | None,
        references: tuple[Latents, ...],
    ) -> DenoiseJob:
        """`beginning` and `references`: latents of the canvas' pictures by this release."""
        command, cell = self.command, self.model.manifest.latent.downscale
        return DenoiseJob(
            release=release,
            conditions=conditions,
            seeds=command.seeds,
            steps=command.steps,
            guidance_scale=command.guidance_scale,
            scheduler=command.scheduler,
            latent_height=self.canvas.size.height // cell,
            latent_width=self.canvas.size.width // cell,
            deterministic=command.deterministic,
            preview_steps=() if self.listener is None else preview_steps(command.partial_images, self._steps_done),
            start=self._start(beginning),
            references=references,
            guidance_interval=command.guidance_interval,
            step_cache=command.step_cache,
            loras=command.loras,
            progress=self.listener is not None,
        )

    @property
    def usage(self) -> TokenUsage:
        """What the model read and draws."""
        shapes = [pixels.shape for pixels in self.canvas.references]
        if self.canvas.beginning is not None:
            shapes.append(self.canvas.beginning.pixels.shape)
        return TokenUsage(
            text=sum(prompt.kept for prompt in self.prompts),
            images=sum(patches(PictureSize(shape[2], shape[1])) for shape in shapes),
            per_picture=patches(self.canvas.size),
            pictures=len(self.command.seeds),
        )

    @property
    def _steps_done(self) -> int:
        beginning = self.canvas.beginning
        if beginning is None:
            return self.command.steps
        return steps_done(self.model.manifest.noise.prediction, self.command.steps, beginning.strength)

    def _start(self, latents: Latents | None) -> Start | None:
        beginning = self.canvas.beginning
        if beginning is None or latents is None:
            return None
        return Start(latents, beginning.strength, beginning.cells)


def preview_steps(partial_images: int, steps: int) -> tuple[int, ...]:
    """After which steps to show `partial_images` estimates: evenly spread, never the last step, never one twice."""
    wanted = (round(steps * (order + 1) / (partial_images + 1)) for order in range(partial_images))
    return tuple(sorted({step for step in wanted if 1 <= step < steps}))


def patches(size: PictureSize) -> int:
    """What usage counts of a picture."""
    return -(-size.width // _PATCH) * -(-size.height // _PATCH)
