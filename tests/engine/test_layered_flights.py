"""Pictures are taken apart in flight: beside others of their shape, of other shapes, deterministically."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.errors import InvalidRequestError
from engine.request import References
from engine.samplers.sampler import draw_noise
from engine.step import StepEngine, open_step_engine
from families.catalog import load_source
from families.manifest import Component
from families.repository import version_folder
from tests.engine.conftest import SETTINGS, Recorder, run
from tests.support.layered_requests import CHANNELS, CROWD, request_of
from tests.support.published import publish
from tests.support.tiny_qwen_image_layered import write_tiny_qwen_image_layered


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the denoiser."""
    root = tmp_path_factory.mktemp("layered")
    source = load_source(write_tiny_qwen_image_layered(root / "models" / "layered"))
    publish(source, root, Component.DENOISER, onnx=False)
    return version_folder(root, source.manifest.name, Component.DENOISER)


@pytest.fixture(scope="module")
def layered(published: Path) -> Iterator[StepEngine]:
    """Warmed up, as a server is: at the usual number of layers of the default picture."""
    engine = open_step_engine(published, "torch", replace(SETTINGS, warm_up=True))
    yield engine
    engine.close()


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_crowd_gets_what_each_would_get_alone(layered: StepEngine, deterministic: bool) -> None:
    requests = [replace(request, deterministic=deterministic) for request in CROWD]
    alone = [run(layered, request) for request in requests]
    recorders = [Recorder() for _ in requests]
    for request, recorder in zip(requests, recorders, strict=True):
        layered.submit(request, recorder)
    for request, recorder, expected in zip(requests, recorders, alone, strict=True):
        latents = recorder.result()
        assert latents.shape == (len(request.seeds), CHANNELS, request.latent_height, request.latent_width)
        if deterministic:
            assert torch.equal(latents, expected)
        torch.testing.assert_close(latents, expected, atol=1e-4, rtol=1e-4)
    assert recorders[-1].previews[2].shape == (1, CHANNELS, 12, 4)


def test_requests_of_one_shape_share_batches(published: Path) -> None:
    """Pictures of their own, in the rows of one call; deterministic, as then no measured time says how many."""
    engine = open_step_engine(published, "torch", replace(SETTINGS, deterministic_rows=8))
    recorders = [Recorder() for _ in range(4)]
    for at, recorder in enumerate(recorders):
        engine.submit(replace(request_of((at,), steps=40, picture=at), deterministic=True), recorder)
    results = [recorder.result() for recorder in recorders]
    metrics = engine.metrics()
    engine.close()
    assert not torch.equal(results[0], results[1])
    assert metrics.rows == 4 * 40 * 2
    assert metrics.ticks < 4 * 40


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"references": None}, "takes one picture apart, which must come as the one reference"),
        ({"latent_height": 13}, "latents must be whole frames of the picture's 4x4 cells, got 13x4"),
        ({"latent_width": 5}, "latents must be whole frames of the picture's 4x4 cells, got 12x5"),
        ({"latent_height": 8}, "latents must hold the picture and 2 to 10 layers, got 2 frames"),
        ({"latent_height": 48}, "latents must hold the picture and 2 to 10 layers, got 12 frames"),
        (
            {"references": References(torch.zeros(32, CHANNELS), ((4, 4), (4, 4)))},
            "references must be 1 to 1 pictures, got 2",
        ),
        (
            {"references": References(torch.zeros(0, CHANNELS), ((0, 4),))},
            "latents must be whole frames of the picture's 0x4 cells",
        ),
    ],
)
def test_what_is_no_picture_taken_apart_is_refused(layered: StepEngine, change: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidRequestError, match=says):
        layered.submit(replace(request_of(), **change), Recorder())  # type: ignore[arg-type]


def test_noise_is_drawn_frame_by_frame() -> None:
    """As the reference does: [frames, C / 4, 2 h, 2 w], each folded like a picture of its own."""
    together = draw_noise((CHANNELS, 12, 5), torch.Generator().manual_seed(3), 2, frames=3)
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randn(3, CHANNELS // 4, 8, 10, generator=generator)
    for at in range(3):
        folded = drawn[at].reshape(-1, 4, 2, 5, 2).permute(0, 2, 4, 1, 3).reshape(CHANNELS, 4, 5)
        assert torch.equal(together[0, :, 4 * at : 4 * at + 4], folded)
