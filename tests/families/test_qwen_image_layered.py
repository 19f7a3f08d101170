"""A Qwen-Image-Layered folder's JSON as a manifest, and the positions of frames that lie one above the other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from families.catalog import load_source
from families.derived import Layout
from families.errors import ManifestError
from families.manifest import GuidanceKind, LayerRule, ModelManifest, MuRule
from families.manifest_json import dump_manifest, parse_manifest
from families.qwen_image_layered import derive
from tests.families.conftest import write_json
from tests.families.test_qwen_image import FILES

TRANSFORMER, VAE = "transformer/config.json", "vae/config.json"
LAYERED: dict[str, dict[str, Any]] = FILES | {
    "model_index.json": {"_class_name": "QwenImageLayeredPipeline"},
    TRANSFORMER: FILES[TRANSFORMER] | {"use_additional_t_cond": True, "use_layer3d_rope": True},
    VAE: FILES[VAE] | {"input_channels": 4},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, value in LAYERED.items():
        write_json(tmp_path / "layered" / name, value)
    return tmp_path / "layered"


def _manifest(folder: Path, card: dict[str, Any] | None = None) -> ModelManifest:
    if card is not None:
        write_json(folder / "triptych.json", card)
    return load_source(folder).manifest


def test_what_a_folder_says(folder: Path) -> None:
    manifest = _manifest(folder)
    assert (manifest.family, manifest.guidance) == ("qwen-image-layered", GuidanceKind.RENORMALISED)
    assert (manifest.defaults.steps, manifest.defaults.guidance_scale) == (50, 4.0)
    assert manifest.layers == LayerRule(2, 10, 4, (640, 1024), 32, ())
    flow = manifest.noise.flow
    assert flow is not None and (flow.mu, flow.base_tokens, flow.linear_sigmas) == (MuRule.SQUARE_ROOT, 256, True)
    assert [spec.dims[-1] for spec in (*manifest.vae_encoder.inputs, *manifest.vae_decoder.outputs)] == [4, 4]
    assert parse_manifest(dump_manifest(manifest)) == manifest


def test_the_buckets_fit_into_the_sizes(folder: Path) -> None:
    size = _manifest(folder).size
    assert (size.default_width, size.default_height) == (640, 640)
    for side in (32, 128, 640, 1024, 1440):
        assert size.minimum <= side <= size.maximum and side % size.multiple == 0


def test_latents_are_frames_one_above_the_other(folder: Path) -> None:
    manifest = _manifest(folder)
    assert manifest.latent_size(640, 320) == (5 * 40, 20), "the usual four layers and the picture itself"
    assert manifest.latent_size(640, 320, layers=10) == (11 * 40, 20)


def test_a_schedule_without_shift_stays_without(folder: Path) -> None:
    name = "scheduler/scheduler_config.json"
    write_json(folder / name, LAYERED[name] | {"use_dynamic_shifting": False})
    flow = _manifest(folder).noise.flow
    assert flow is not None and flow.mu is MuRule.FIXED


def test_a_card_says_how_the_model_wants_to_be_asked(folder: Path) -> None:
    names = [["background", "person"], ["background", "person", "top"]]
    card = {"default_side": 128, "layers": {"resolutions": [128], "usual": 3, "maximum": 5, "names": names}}
    manifest = _manifest(folder, card | {"sampling": {"steps": 8}})
    assert manifest.layers == LayerRule(2, 5, 3, (128,), 32, tuple(map(tuple, names)))
    assert (manifest.size.default_width, manifest.defaults.steps) == (128, 8)
    assert parse_manifest(dump_manifest(manifest)) == manifest


def test_a_picture_is_as_large_as_the_first_resolution_where_the_card_is_silent(folder: Path) -> None:
    assert _manifest(folder, {"layers": {"resolutions": [256, 512]}}).size.default_height == 256


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ([], r"layers must be an object"),
        ({"most": 3}, r"layers has no most; it has minimum, maximum, usual, resolutions, names"),
        ({"minimum": 0}, r"layers\.minimum must be a number of layers, at least 1, got 0"),
        ({"maximum": "5"}, r"layers\.maximum must be a number of layers, at least 1, got '5'"),
        ({"usual": True}, r"layers\.usual must be a number"),
        ({"usual": 11}, r"layers\.usual must be from 2 to 10, got 11"),
        ({"resolutions": []}, r"layers\.resolutions must be a list of multiples of 32, got \[\]"),
        ({"resolutions": [100]}, r"layers\.resolutions must be a list of multiples of 32"),
        ({"names": "person"}, r"layers\.names must be lists of names"),
        ({"names": [["a", ""]]}, r"layers\.names must be lists of names"),
        ({"names": [["a"]]}, r"layers\.names must be one list a number of layers from 2 to 10, got lists of \[1\]"),
        ({"names": [["a", "b"], ["c", "d"]]}, r"layers\.names must be one list a number of layers"),
    ],
)
def test_mistakes_of_a_card_are_named(folder: Path, said: Any, says: str) -> None:
    with pytest.raises(ManifestError, match=rf"triptych\.json: {says}"):
        _manifest(folder, {"layers": said})


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        (TRANSFORMER, {"use_additional_t_cond": False}, "use_additional_t_cond must be true for layered models"),
        (TRANSFORMER, {"use_layer3d_rope": False}, "use_layer3d_rope must be true for layered models"),
        (VAE, {"input_channels": 3}, "input_channels must be 4, got 3"),
    ],
)
def test_what_makes_no_layers_is_refused(folder: Path, file: str, change: dict[str, Any], says: str) -> None:
    write_json(folder / file, LAYERED[file] | change)
    with pytest.raises(ManifestError, match=rf"{file}: {says}"):
        load_source(folder)


def test_the_picture_is_its_frames_reference(folder: Path) -> None:
    manifest = _manifest(folder)
    derived = derive(manifest, Layout(15, 4, 7, ((5, 4),)))
    assert [tensor.name for tensor in derived] == [spec.name for spec in manifest.denoiser.inputs[-6:]]
    cos, sin, of_cos, of_sin, text_cos, _ = (tensor.array[0] for tensor in derived)
    frames = np.arctan2(sin, cos)[..., 0].reshape(3, 5, 4)
    np.testing.assert_allclose(frames, np.broadcast_to(np.arange(3.0)[:, None, None], frames.shape), atol=1e-6)
    np.testing.assert_allclose(np.arctan2(of_sin, of_cos)[:, 0], -1, atol=1e-6)
    np.testing.assert_allclose(text_cos[0, [0, 8, 36]], np.cos([3] * 3), atol=1e-6)


def test_latents_that_are_no_frames_have_no_positions(folder: Path) -> None:
    with pytest.raises(ValueError, match="16x4 cells are no frames of 5x4"):
        derive(_manifest(folder), Layout(16, 4, 7, ((5, 4),)))
