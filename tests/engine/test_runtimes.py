"""Runtimes by name, and components run in batches."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.components import run_batch
from engine.errors import RuntimeUnavailableError
from engine.open import open_component
from engine.runtimes import open_runtime
from engine.settings import RuntimeSettings
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import version_folder

CPU = RuntimeSettings(threads=1, device="cpu")


@pytest.fixture(scope="module")
def decoder(repository: Path, tiny: ModelSource) -> Path:
    return version_folder(repository, tiny.manifest.name, Component.VAE_DECODER)


def test_unknown_names_list_the_known(tiny: ModelSource, tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match="known are torch, onnxruntime"):
        open_runtime("tensorflow", tmp_path, tiny.manifest, Component.DENOISER, CPU)


@pytest.mark.parametrize("name", ["torch", "onnxruntime"])
def test_missing_files_are_named(tiny: ModelSource, tmp_path: Path, name: str) -> None:
    with pytest.raises(RuntimeUnavailableError, match="missing"):
        open_runtime(name, tmp_path, tiny.manifest, Component.DENOISER, CPU)
    with pytest.raises(RuntimeUnavailableError, match=r"manifest\.json"):
        open_component(tmp_path, Component.DENOISER, name, CPU)


def test_a_device_that_is_not_there(decoder: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("it is there")
    for name in ("torch", "onnxruntime"):
        with pytest.raises(RuntimeUnavailableError, match="cuda"):
            open_component(decoder, Component.VAE_DECODER, name, RuntimeSettings(device="cuda"))


def test_another_components_graph_is_refused(decoder: Path, tiny: ModelSource) -> None:
    with pytest.raises(RuntimeUnavailableError, match="takes"):
        open_runtime("onnxruntime", decoder, tiny.manifest, Component.DENOISER, CPU)


def test_runtimes_agree(decoder: Path) -> None:
    latents = np.random.default_rng(0).standard_normal((3, 4, 5, 6), dtype=np.float32)
    pixels = []
    for name in ("torch", "onnxruntime"):
        runtime = open_component(decoder, Component.VAE_DECODER, name, CPU)
        pixels.append(run_batch(runtime, [latents], max_batch=2)[0])
        assert pixels[-1].shape == (3, 40, 48, 3)
    assert np.abs(pixels[0].astype(int) - pixels[1].astype(int)).max() <= 1


@pytest.mark.parametrize("name", ["torch", "onnxruntime"])
def test_deterministic_batches_give_the_same_bytes_alone(decoder: Path, name: str) -> None:
    runtime = open_component(decoder, Component.VAE_DECODER, name, CPU)
    latents = np.random.default_rng(0).standard_normal((7, 4, 8, 8), dtype=np.float32)
    crowd = run_batch(runtime, [latents], max_batch=4, deterministic=True)[0]
    for row in range(7):
        alone = run_batch(runtime, [latents[row : row + 1]], max_batch=4, deterministic=True)[0]
        assert np.array_equal(alone[0], crowd[row])


def test_batches_must_agree_on_their_rows(decoder: Path) -> None:
    runtime = open_component(decoder, Component.VAE_DECODER, "onnxruntime", CPU)
    with pytest.raises(ValueError, match="rows"):
        run_batch(runtime, [np.zeros((0, 4, 8, 8), np.float32)], max_batch=4)


def test_onnxruntime_components_do_not_load_torch(decoder: Path) -> None:
    """A text encoder's process would otherwise take seconds longer to start and hundreds of megabytes more."""
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom engine.components import run_batch\n"
        "from engine.open import open_component\nfrom engine.settings import RuntimeSettings\n"
        "from families.manifest import Component\n"
        f"r = open_component(Path({str(decoder)!r}), Component.VAE_DECODER, 'onnxruntime', RuntimeSettings(1, 'cpu'))\n"
        "run_batch(r, [np.zeros((1, 4, 8, 8), np.float32)], max_batch=4)\n"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
