"""A tiny published model and helpers to run requests on a step engine."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from engine.modules import load_module
from engine.request import DenoiseRequest, NamedCondition
from engine.settings import RuntimeSettings, StepSettings
from engine.step import StepEngine, open_step_engine
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.repository import version_folder
from tests.support.published import publish
from tests.support.tiny_model import TEXT_LENGTH, TEXT_WIDTH, write_tiny_model

SETTINGS = StepSettings(runtime=RuntimeSettings(threads=1, device="cpu"), warm_up=False)
SIDE = 8
"""Latent cells on a side of the tiny model's default picture."""


@dataclass
class Recorder:
    """A sink that keeps everything; `cancel` set makes it answer that the client went away."""

    steps: list[int] = field(default_factory=list)
    previews: dict[int, torch.Tensor] = field(default_factory=dict)
    latents: torch.Tensor | None = None
    error: Exception | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    on_step: Callable[[int], None] | None = None

    def progress(self, step: int) -> None:
        self.steps.append(step)
        if self.on_step is not None:
            self.on_step(step)

    def preview(self, step: int, latents: torch.Tensor) -> None:
        self.previews[step] = latents

    def finished(self, latents: torch.Tensor) -> None:
        self.latents = latents
        self.done.set()

    def failed(self, error: Exception) -> None:
        self.error = error
        self.done.set()

    def cancelled(self) -> bool:
        return self.cancel.is_set()

    def result(self, timeout: float = 60.0) -> torch.Tensor:
        assert self.done.wait(timeout), "the request did not end"
        if self.error is not None:
            raise self.error
        assert self.latents is not None
        return self.latents


def request_of(
    seeds: tuple[int, ...] = (1,),
    *,
    steps: int = 4,
    guidance: float = 5.0,
    scheduler: str = "ddim",
    size: tuple[int, int] = (SIDE, SIDE),
    prompt: int = 0,
    deterministic: bool = False,
    previews: tuple[int, ...] = (),
    priority: int = 0,
) -> DenoiseRequest:
    """A request whose conditions are drawn from the number `prompt`."""
    context = torch.randn(2, TEXT_LENGTH, TEXT_WIDTH, generator=torch.Generator().manual_seed(prompt))
    return DenoiseRequest(
        conditions=(NamedCondition("context", context),),
        seeds=seeds,
        steps=steps,
        guidance_scale=guidance,
        scheduler=scheduler,
        latent_height=size[0],
        latent_width=size[1],
        priority=priority,
        deterministic=deterministic,
        preview_steps=previews,
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    return load_source(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="session")
def repository(tiny: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with every component for both runtimes; exporting takes seconds, so once is enough."""
    root = tmp_path_factory.mktemp("repository")
    for component in Component:
        publish(tiny, root, component, onnx=True)
    return root


@pytest.fixture(scope="session")
def published(repository: Path, tiny: ModelSource) -> Path:
    """The denoiser's version folder."""
    return version_folder(repository, tiny.manifest.name, Component.DENOISER)


@pytest.fixture(scope="session")
def unet(tiny: ModelSource) -> torch.nn.Module:
    return load_module(tiny.manifest.family, Component.DENOISER, tiny.folder)


@pytest.fixture(scope="session", params=["torch", "onnxruntime"])
def engine(request: pytest.FixtureRequest, published: Path) -> Iterator[StepEngine]:
    """One engine a runtime for the whole session: tests must leave nothing behind, which is part of what they test."""
    opened = open_step_engine(published, request.param, SETTINGS)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def torch_engine(published: Path) -> Iterator[StepEngine]:
    opened = open_step_engine(published, "torch", SETTINGS)
    yield opened
    opened.close()


def run(engine: StepEngine, request: DenoiseRequest) -> torch.Tensor:
    """Submit and wait for the latents."""
    recorder = Recorder()
    engine.submit(request, recorder)
    return recorder.result()
