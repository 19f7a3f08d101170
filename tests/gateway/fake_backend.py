"""A deterministic engine behind the real port: its pictures depend on prompt, seed and step, and on nothing else."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import numpy as np

from families.tensors import NamedTensor
from families.tryon.parts import BodyPart
from families.vision.joints import JOINTS
from gateway.domain.backend import (
    Denoised,
    DenoiseEvent,
    DenoiseJob,
    InferenceBackend,
    Latents,
    Lora,
    Pixels,
    Preview,
    Release,
    StepDone,
    Tokens,
)
from gateway.domain.errors import ReleaseGone

CELL = 8
WIDTH = 4


@dataclass
class FakeBackend(InferenceBackend):
    """Counts what it is asked. `fail_denoise`, `fail_encode` and `fail_decode` are raised when set."""

    step_seconds: float = 0.001
    encode_seconds: float = 0.0
    is_ready: bool = True
    fail_encode: Exception | None = None
    fail_denoise: Exception | None = None
    fail_after_steps: int = 0
    fail_decode: Exception | None = None
    jobs: list[DenoiseJob] = field(default_factory=list)
    encoded: list[int] = field(default_factory=list)
    """Rows of each encode call."""
    text_loras: list[tuple[Lora, ...]] = field(default_factory=list)
    """Of each encode call."""
    running: int = 0
    most_running: int = 0
    steps_done: int = 0
    cancelled: int = 0
    closed: bool = False
    version: str = "1"
    replace_during_denoise: bool = False
    """Once: the next denoise that gets to `fail_after_steps` finds its release replaced by version 2."""

    release_always_gone: bool = False

    async def ready(self) -> bool:
        return self.is_ready

    async def release(self, model: str) -> Release:
        return Release(model, self.version)

    async def encode_text(
        self, release: Release, tokens: Tokens, *, deterministic: bool, loras: tuple[Lora, ...] = ()
    ) -> tuple[NamedTensor, ...]:
        ids = tokens[0].array
        self.encoded.append(len(ids))
        self.text_loras.append(loras)
        await asyncio.sleep(self.encode_seconds)
        if self.fail_encode:
            raise self.fail_encode
        return (
            NamedTensor(
                "context",
                np.stack([noise(row.tobytes() + release.version.encode(), (ids.shape[1], WIDTH)) for row in ids]),
            ),
        )

    async def encode_image(self, release: Release, pixels: Pixels, *, deterministic: bool) -> Latents:
        shrunk = pixels[:, ::CELL, ::CELL].astype(np.float32).transpose(0, 3, 1, 2)
        return np.concatenate([shrunk, shrunk[:, :1]], axis=1) / 64 - 2

    async def denoise(self, job: DenoiseJob) -> AsyncGenerator[DenoiseEvent, None]:
        self.jobs.append(job)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            for step in range(1, job.steps + 1):
                if self.replace_during_denoise and step > self.fail_after_steps:
                    self.replace_during_denoise, self.version = False, "2"
                if job.release.version != self.version or self.release_always_gone:
                    raise ReleaseGone("replaced", retry_after=1)
                if self.fail_denoise and step > self.fail_after_steps:
                    raise self.fail_denoise
                await asyncio.sleep(self.step_seconds)
                self.steps_done += 1
                if step in job.preview_steps:
                    yield Preview(step, latents_of(job, step))
                else:
                    yield StepDone(step)
            yield Denoised(latents_of(job, job.steps))
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def decode(self, release: Release, latents: Latents, *, deterministic: bool) -> Pixels:
        if self.fail_decode:
            raise self.fail_decode
        pixels = np.clip(latents[:, :3] * 64 + 128, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(pixels.repeat(CELL, 2).repeat(CELL, 3).transpose(0, 2, 3, 1))

    async def look(self, model: str, pixels: Pixels, *, deterministic: bool) -> tuple[NamedTensor, ...]:
        """Nobody is anywhere: every pixel is background."""
        count, height, width = pixels.shape[:3]
        parts = np.zeros((count, len(BodyPart), height, width), np.uint8)
        parts[:, BodyPart.BACKGROUND.label] = 255
        return (NamedTensor("parts", parts), NamedTensor("keypoints", np.zeros((count, len(JOINTS), 3), np.float32)))

    async def close(self) -> None:
        self.closed = True


def latents_of(job: DenoiseJob, step: int) -> Latents:
    """The estimate after `step` steps; the last one is the result."""
    shape = (4, job.latent_height, job.latent_width)
    about = b"".join(condition.array.tobytes() for condition in job.conditions)
    about += f"{job.steps} {job.guidance_scale} {job.scheduler} {step}".encode()
    return np.stack([noise(about + str(seed).encode(), shape) for seed in job.seeds])


def noise(about: bytes, shape: tuple[int, ...]) -> np.ndarray:
    digest = int.from_bytes(hashlib.sha256(about).digest()[:8], "big")
    return np.random.default_rng(digest).standard_normal(shape, dtype=np.float32)
