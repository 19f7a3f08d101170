"""What every server is asked for, and for how long."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, product
from pathlib import Path

from families.catalog import load_source
from families.repository import REPOSITORY_FOLDER

DEFAULT_STEPS = 8
SHORT_STEPS = 4
LONG_STEPS = 50
DEFAULT_SCHEDULER = "dpm++_2m_karras"


@dataclass(frozen=True, slots=True)
class Workload:
    """The settings that all servers share.

    `model_folder` is a diffusers StableDiffusionPipeline folder; `runtime_directory` is where Triptych publishes it.
    """

    model_folder: Path
    runtime_directory: Path
    model: str
    steps: int
    guidance_scale: float
    scheduler: str
    width: int
    height: int

    @property
    def repository(self) -> Path:
        """The published models."""
        return self.runtime_directory / REPOSITORY_FOLDER


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """One picture. Prompt and seed differ from request to request, so that no cache answers for the model."""

    prompt: str
    seed: int
    steps: int
    guidance_scale: float
    scheduler: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured. Every repeat visits every server once; seconds are per measured cell."""

    repeats: int
    users: tuple[int, ...]
    cell_s: float
    warm_up_s: float
    short_solo_s: float
    loaded_s: float
    long_users: int
    think_s: float
    start_limit_s: float
    budget_s: float


FULL = Plan(
    repeats=3,
    users=(1, 2, 4, 8, 16),
    cell_s=3.5,
    warm_up_s=1.5,
    short_solo_s=1.5,
    loaded_s=5.0,
    long_users=4,
    think_s=0.05,
    start_limit_s=60.0,
    budget_s=720.0,
)
QUICK = replace(
    FULL, repeats=1, users=(1, 8), cell_s=1.0, warm_up_s=0.3, short_solo_s=0.5, loaded_s=2.0, budget_s=120.0
)


def describe(folder: Path, runtime_directory: Path, *, steps: int = DEFAULT_STEPS) -> Workload:
    """The workload for one model folder: its own guidance and size, and its scheduler if `triptych.json` is there."""
    manifest = load_source(folder).manifest
    own = (folder / "triptych.json").is_file()
    return Workload(
        model_folder=folder.resolve(),
        runtime_directory=runtime_directory.resolve(),
        model=manifest.name,
        steps=steps,
        guidance_scale=manifest.defaults.guidance_scale,
        scheduler=manifest.defaults.scheduler if own else DEFAULT_SCHEDULER,
        width=manifest.size.default_width,
        height=manifest.size.default_height,
    )


def requests(workload: Workload, *, steps: int | None = None, seed: int = 0) -> Iterator[PictureRequest]:
    """An endless stream of distinct requests; `seed` picks the stream."""
    prompts = [_SENTENCE.format(*words) for words in product(_FIGURES, _HAIR, _PATTERNS, _COLOURS, _GARMENTS, _PLACES)]
    random.Random(seed).shuffle(prompts)
    for index in count():
        yield PictureRequest(
            prompt=prompts[index % len(prompts)],
            seed=seed * 100_000 + index,
            steps=workload.steps if steps is None else steps,
            guidance_scale=workload.guidance_scale,
            scheduler=workload.scheduler,
            width=workload.width,
            height=workload.height,
        )


_SENTENCE = "a {} with {} hair in a {} {} {} {}"
_FIGURES = ("woman", "man")
_HAIR = ("short black", "long brown", "curly ginger", "long blonde")
_COLOURS = ("red", "green", "blue", "yellow", "purple", "pink")
_PATTERNS = ("plain", "striped", "dotted", "checked")
_GARMENTS = ("t-shirt", "sweater", "tank top")
_PLACES = ("on a meadow", "on a beach", "in a city", "in front of a white wall")
