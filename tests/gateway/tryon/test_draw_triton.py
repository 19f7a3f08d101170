"""Try-ons drawn by a real Triton: the pictures that the engine in this process draws, alone and in a crowd."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from export.publishing.options import PublishOptions, Runtime
from export.publishing.prepare import prepare_model
from families.catalog import load_source
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.adapters.triton import TritonBackend
from gateway.pipelines.models import ModelLibrary
from gateway.pipelines.tryon.draw import TryOnDraw
from gateway.settings import BackendSettings
from tests.support.dressing import drawing_of, open_dressing
from tests.support.tiny_catvton import FEW_BLOCKS, write_tiny_catvton
from triptych.triton import RestartPolicy, TritonSettings, TritonSupervisor, locate, prepare

pytestmark = [pytest.mark.triton, pytest.mark.timeout(900)]

MODEL = "tiny-catvton"
PATIENT = RestartPolicy(startup_deadline_s=600, poll_s=0.2)
PLAIN = replace(drawing_of(MODEL, 64, 64), deterministic=True)
CROWD = (
    PLAIN,
    replace(drawing_of(MODEL, 64, 96), seeds=(1, 2, 3), deterministic=True),
    replace(PLAIN, guidance_scale=1.0, steps=6),
    replace(drawing_of(MODEL, 64, 96), steps=3),
)


@dataclass(frozen=True)
class Both:
    """Of one model."""

    triton: TryOnDraw
    here: TryOnDraw


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    root: Path = tmp_path_factory.mktemp("dressing")
    source = load_source(write_tiny_catvton(root / MODEL, blocks=FEW_BLOCKS))
    published = prepare_model(
        source, root / "runtime", root / "repository", PublishOptions(runtime=Runtime.TORCH, threads=1)
    )
    settings = TritonSettings(model_repository=root / "repository", models=published.names, exit_timeout_s=3)
    async with TritonSupervisor(prepare(locate(), root / "cache"), settings, root / "triton.log", PATIENT) as triton:
        backend = TritonBackend(triton.endpoints.grpc, [source.manifest], BackendSettings())
        async with open_dressing(source, root / "inprocess") as here:
            library = ModelLibrary({MODEL: source}, None)
            yield Both(TryOnDraw(backend, library, PrometheusTelemetry()), here)
        await backend.close()


async def test_triton_draws_what_the_engine_here_draws(both: Both) -> None:
    alone = [await both.triton.draw(drawing, None) for drawing in CROWD]
    together = await asyncio.gather(*(both.triton.draw(drawing, None) for drawing in CROWD))
    here = [await both.here.draw(drawing, None) for drawing in CROWD]
    for drawing, one, other, same in zip(CROWD, alone, together, here, strict=True):
        worst = max(int(np.abs(one.astype(int) - picture).max()) for picture in (other, same))
        assert worst <= (0 if drawing.deterministic else 2), drawing.size
        assert one.std() > 1
