"""Parts that lie beside a model's folder: read from there, never from outside of the models' folder."""

import json
from pathlib import Path

import pytest

from families.catalog import load_source
from families.errors import CheckpointError, ManifestError
from families.manifest import Component
from families.registry.content import identify
from families.registry.inventory import take_inventory
from tests.families.conftest import write_json

UNET = {"in_channels": 9, "out_channels": 4, "sample_size": 8, "block_out_channels": [8]}
VAE = {"latent_channels": 4, "block_out_channels": [4, 4, 4, 4], "scaling_factor": 0.5}
SCHEDULER = {"num_train_timesteps": 10, "beta_start": 0.1, "beta_end": 0.2, "beta_schedule": "linear"}
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture()
def model(tmp_path: Path) -> Path:
    """`models/dresser`, whose VAE is another model's and whose UNet is a base with an overlay. Weights are empty."""
    models = tmp_path / "models"
    dresser = models / "dresser"
    write_json(dresser / "model_index.json", {"_class_name": "CatVTONPipeline", "vae": ["diffusers", "AutoencoderKL"]})
    write_json(dresser / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(models / "base" / "unet" / "config.json", UNET)
    write_json(models / "other" / "vae-ft" / "config.json", VAE)
    for folder in ("base/unet", "other/vae-ft"):
        (models / folder / WEIGHTS).write_bytes(b"")
    (dresser / "attention").mkdir()
    (dresser / "attention" / "model.safetensors").write_bytes(b"")
    (tmp_path / "secret").mkdir()
    (models / "way-out").symlink_to(tmp_path / "secret")
    place(dresser, {"vae": "../other/vae-ft", "unet": {"folder": "../base/unet", "overlay": OVERLAY}})
    return dresser


OVERLAY = "attention/model.safetensors"


def place(model: Path, parts: object) -> None:
    (model / "triptych.json").write_text(json.dumps({"licence": "mine", "parts": parts}), encoding="utf-8")


def test_configurations_and_weights_come_from_their_places(model: Path) -> None:
    source = load_source(model)
    assert (source.manifest.latent.scaling_factor, source.manifest.licence) == (0.5, "mine")
    (unet,) = source.weights(Component.DENOISER)
    models = model.parent
    assert (unet.name, unet.files, unet.overlay) == ("unet", (models / "base" / "unet" / WEIGHTS,), model / OVERLAY)
    assert [name for _, name in unet.everything] == ["config.json", WEIGHTS, "overlay.safetensors"]
    for component in (Component.VAE_ENCODER, Component.VAE_DECODER):
        (vae,) = source.weights(component)
        assert (vae.name, vae.files) == ("vae", (models / "other" / "vae-ft" / WEIGHTS,))
    assert "vae/ is missing" not in identify(model, take_inventory(model)).problems


def test_an_overlay_in_the_parts_own_folder(model: Path) -> None:
    (model.parent / "base" / "unet").rename(model / "unet")
    (model / OVERLAY).rename(model / "unet" / "overlay.safetensors")
    place(model, {"vae": "../other/vae-ft"})
    (unet,) = load_source(model).weights(Component.DENOISER)
    assert (unet.files, unet.overlay) == ((model / "unet" / WEIGHTS,), model / "unet" / "overlay.safetensors")
    place(model, {"vae": "../other/vae-ft", "unet": {"overlay": "unet/overlay.safetensors"}})
    (again,) = load_source(model).weights(Component.DENOISER)
    assert again == unet


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"vae": "../../secret"}, "parts.vae: '../../secret' leads out of"),
        ({"vae": "../way-out"}, "parts.vae: '../way-out' leads out of"),
        ({"vae": ".."}, "parts.vae: '..' leads out of"),
        ({"vae": "/etc"}, "parts.vae must be a path relative to"),
        ({"vae": ""}, "parts.vae must be a path relative to"),
        ({"vae": 3}, "parts.vae must be a path, or an object of folder and overlay"),
        ({"vae": {"place": "../other/vae-ft"}}, "parts.vae must be a path, or an object of folder and overlay"),
        ({"vae": "../other/none"}, "parts.vae: there is no folder"),
        ({"unet": {"overlay": "none.safetensors"}}, "parts.unet.overlay: there is no file"),
        ({"unet": {"overlay": "../../secret/x"}}, "parts.unet.overlay: '../../secret/x' leads out of"),
        ({"../vae": "../other/vae-ft"}, "a part is called as its folder"),
        (["vae"], "parts must be an object of part names and their places"),
    ],
)
def test_what_cannot_be_a_place(model: Path, parts: object, message: str) -> None:
    place(model, parts)
    with pytest.raises(ManifestError) as caught:
        load_source(model)
    assert str(model / "triptych.json") in str(caught.value) and message in str(caught.value)
    assert any(message in problem for problem in identify(model, take_inventory(model)).problems)


def test_a_place_without_weights_is_named(model: Path) -> None:
    (model.parent / "other" / "vae-ft" / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match="vae-ft holds no weights"):
        load_source(model).weights(Component.VAE_DECODER)
