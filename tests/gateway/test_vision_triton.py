"""The embedded parser on a real Triton sees what it sees in this process, alone and in a crowd."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from export.publishing.options import PublishOptions
from export.publishing.vision import publish_vision
from families.embedded import embedded_models
from families.vision.source import load_vision
from gateway.adapters.inprocess import InProcessBackend
from gateway.adapters.triton import TritonBackend
from gateway.domain.backend import InferenceBackend
from gateway.domain.errors import BackendRejected
from gateway.pipelines.vision import VisionModels
from gateway.settings import BackendSettings
from triptych.triton import RestartPolicy, TritonSettings, TritonSupervisor, locate, prepare
from wardrobe.world.render import render
from wardrobe.world.scene import scenes

pytestmark = [pytest.mark.triton, pytest.mark.timeout(900)]

PARSER = load_vision(embedded_models() / "wardrobe-parser")
PATIENT = RestartPolicy(startup_deadline_s=600, poll_s=0.2)
SETTINGS = BackendSettings(threads=1)
PICTURES = [render(scene).image for scene, _ in zip(scenes(23, held_out=True), range(3), strict=False)]


@pytest.fixture(scope="module")
async def backends(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[InferenceBackend, InferenceBackend]]:
    """Triton's and this process's, of one repository."""
    root: Path = tmp_path_factory.mktemp("vision")
    names = publish_vision(PARSER, root / "repository", PublishOptions(threads=1)).names
    local = InProcessBackend(root / "repository", (), SETTINGS, vision=[PARSER])
    await local.open()
    settings = TritonSettings(model_repository=root / "repository", models=names, exit_timeout_s=3)
    async with TritonSupervisor(prepare(locate(), root / "cache"), settings, root / "triton.log", PATIENT) as triton:
        remote = TritonBackend(triton.endpoints.grpc, (), SETTINGS, [PARSER])
        assert await remote.ready()
        yield remote, local
        await remote.close()
    await local.close()


async def test_both_see_the_same(backends: tuple[InferenceBackend, InferenceBackend]) -> None:
    remote, local = (VisionModels(backend, PARSER) for backend in backends)
    here = [await local.parse(picture, deterministic=True) for picture in PICTURES]
    crowd = await asyncio.gather(*(remote.parse(picture, deterministic=True) for picture in (*PICTURES, *PICTURES)))
    for expected, found in zip([*here, *here], crowd, strict=True):
        assert np.array_equal(expected.labels, found.labels)
        assert np.array_equal(expected.keypoints, found.keypoints)


async def test_rows_are_what_they_are_alone(backends: tuple[InferenceBackend, InferenceBackend]) -> None:
    remote, _ = backends
    together = await remote.look(PARSER.name, np.stack(PICTURES), deterministic=True)
    for row, picture in enumerate(PICTURES):
        alone = await remote.look(PARSER.name, picture[None], deterministic=True)
        assert all(np.array_equal(a.array[row], b.array[0]) for a, b in zip(together, alone, strict=True))


async def test_a_wrong_size_is_refused_and_the_rest_goes_on(
    backends: tuple[InferenceBackend, InferenceBackend],
) -> None:
    remote, _ = backends
    with pytest.raises(BackendRejected, match=r"100x128 .* multiples of 16"):
        await remote.look(PARSER.name, PICTURES[0][None, :100], deterministic=False)
    assert len(await remote.look(PARSER.name, PICTURES[0][None], deterministic=False)) == 2
