"""Models in one file: what is beside it counts, its name does not, and what is missing is named."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from families.catalog import discover, load_source
from families.errors import CheckpointError, FamilyError, ManifestError
from families.manifest import Component, Prediction
from families.sources.single_file import open_single_file
from families.sources.weights import folder_weights
from tests.families.conftest import write_json
from tests.families.test_identify import LDM_VAE, MODEL, SD1, SD2, VAE, XL, Shapes
from tests.support.checkpoints import write_sparse

TOKENIZER = {
    "tokenizer/tokenizer.json": {
        "added_tokens": [{"id": 49406, "content": "<|startoftext|>"}, {"id": 49407, "content": "<|endoftext|>"}]
    },
    "tokenizer/tokenizer_config.json": {
        "bos_token": {"content": "<|startoftext|>"},
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    },
}


def _tokenizer(folder: Path) -> None:
    for name, value in TOKENIZER.items():
        write_json(folder / name, value)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A directory with one Stable Diffusion 1 checkpoint, `dream`, and a tokenizer for all of the directory."""
    write_sparse(tmp_path / "dream.safetensors", SD1)
    _tokenizer(tmp_path / "shared.config")
    return tmp_path


def _without(shapes: Shapes, prefix: str) -> Shapes:
    return {name: shape for name, shape in shapes.items() if not name.startswith(prefix)}


def test_the_published_architecture_completes_a_file(models: Path) -> None:
    source = load_source(models / "dream.safetensors")
    manifest = source.manifest
    assert (manifest.name, manifest.family) == ("dream", "stable-diffusion")
    assert (manifest.size.default_width, manifest.latent.scaling_factor) == (512, 0.18215)
    assert manifest.denoiser.inputs[2].dims == ("text_length", 768)
    assert manifest.noise.prediction is Prediction.EPSILON
    rule = manifest.prompts[0]
    assert (rule.begin_id, rule.end_id, rule.pad_id) == (49406, 49407, 49407)
    assert source.tokenizer_files == (models / "shared.config" / "tokenizer" / "tokenizer.json",)
    for component in Component:
        assert source.weights(component)[0].files == (models / "dream.safetensors",)


def test_the_published_architecture_completes_an_sdxl_file(models: Path) -> None:
    write_sparse(models / "dream.safetensors", XL)
    more: dict[str, dict[str, Any]] = {
        "tokenizer.json": {"model": {"vocab": {"!": 0, "!</w>": 256}}},
        "tokenizer_config.json": {"pad_token": "!"},
    }
    with pytest.raises(ManifestError, match=r"tokenizer_2/tokenizer_config\.json"):
        load_source(models / "dream.safetensors")
    for name, values in more.items():
        write_json(models / "shared.config" / "tokenizer_2" / name, {**TOKENIZER[f"tokenizer/{name}"], **values})
    source = load_source(models / "dream.safetensors")
    manifest = source.manifest
    assert (manifest.family, manifest.size.default_width) == ("stable-diffusion-xl", 1024)
    assert [(rule.input, rule.length, rule.end_id, rule.pad_id) for rule in manifest.prompts] == [
        ("input_ids", 77, 49407, 49407),
        ("input_ids_2", 77, 49407, 0),
    ]
    assert [spec.dims for spec in manifest.given] == [(77, 2048), (1280,)]
    assert (manifest.latent.scaling_factor, manifest.empty_negative_is_zero) == (0.13025, True)
    assert [part.name for part in source.weights(Component.TEXT_ENCODER)] == ["text_encoder", "text_encoder_2"]


def test_a_side_folder_knows_better(models: Path) -> None:
    side = models / "dream.config"
    write_json(side / "scheduler" / "scheduler_config.json", _scheduler(models) | {"prediction_type": "v_prediction"})
    write_json(side / "triptych.json", {"licence": "OpenRAIL"})
    write_json(models / "shared.config" / "triptych.json", {"licence": "other"})
    source = load_source(models / "dream.safetensors")
    assert source.manifest.noise.prediction is Prediction.V
    assert source.manifest.licence == "OpenRAIL"
    assert source.folder == side


def _scheduler(models: Path) -> dict[str, Any]:
    path = open_single_file(models / "dream.safetensors").configs.find("scheduler/scheduler_config.json")
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def test_a_missing_tokenizer_says_where_it_belongs(models: Path) -> None:
    shutil.rmtree(models / "shared.config")
    with pytest.raises(ManifestError) as caught:
        load_source(models / "dream.safetensors")
    for folder in ("dream.config", "shared.config"):
        assert str(models / folder / "tokenizer" / "tokenizer_config.json") in str(caught.value)
    assert "architectures" not in str(caught.value)


@pytest.mark.parametrize(("prefix", "part"), [(VAE, "vae"), ("cond_stage_model.", "text_encoder"), (MODEL, "unet")])
def test_a_missing_component_is_named(prefix: str, part: str, models: Path) -> None:
    write_sparse(models / "dream.safetensors", _without(SD1, prefix))
    with pytest.raises(CheckpointError, match=f"no {part}: put {part}/config.json"):
        load_source(models / "dream.safetensors")


def test_a_missing_component_may_lie_beside_the_file(models: Path) -> None:
    write_sparse(models / "dream.safetensors", _without(SD1, VAE))
    write_json(models / "dream.config" / "vae" / "config.json", {"latent_channels": 4, "block_out_channels": [8] * 4,
                                                                 "scaling_factor": 0.5})  # fmt: skip
    with pytest.raises(CheckpointError, match=r"vae holds no weights"):
        load_source(models / "dream.safetensors")
    weights = write_sparse(models / "dream.config" / "vae" / "any.safetensors", LDM_VAE)
    source = load_source(models / "dream.safetensors")
    assert source.weights(Component.VAE_DECODER)[0].files == (weights,)
    assert source.manifest.latent.scaling_factor == 0.5


def test_a_configuration_of_another_size_is_named(models: Path) -> None:
    narrow = {**SD1, f"{MODEL}input_blocks.0.0.weight": (64, 4, 3, 3)}
    write_sparse(models / "dream.safetensors", narrow)
    with pytest.raises(CheckpointError, match=r"says block_out_channels 320; put the configuration") as caught:
        load_source(models / "dream.safetensors")
    assert str(models / "dream.config" / "unet" / "config.json") in str(caught.value)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (SD2, r"stable-diffusion-2 \(unet, vae, text_encoder\), which is recognised but not served"),
        (LDM_VAE, "no model: it holds only vae"),
        ({"x": (2,)}, "no known model"),
    ],
)
def test_what_cannot_be_served_says_what_it_is(shapes: Shapes, message: str, models: Path) -> None:
    write_sparse(models / "stable-diffusion.safetensors", shapes)
    with pytest.raises(CheckpointError, match=message):
        load_source(models / "stable-diffusion.safetensors")
    with pytest.raises(CheckpointError, match=message):
        discover([models])


def test_files_and_folders_are_found_by_name(models: Path, model_folder: Path) -> None:
    shutil.copytree(model_folder, models / "toy")
    write_sparse(models / "toy" / "unet" / "diffusion_pytorch_model.safetensors", {"a": (2,)})
    write_json(models / "dream.config" / "model_index.json", {"_class_name": "StableDiffusionPipeline"})
    found = discover([models])
    assert {name: source.path for name, source in found.items()} == {
        "toy": models / "toy",
        "dream": models / "dream.safetensors",
    }


def test_two_models_of_one_name_are_refused(models: Path) -> None:
    shutil.copy(models / "dream.safetensors", models / "dream.gguf")
    with pytest.raises(ManifestError, match="both be the model dream"):
        discover([models])


@pytest.mark.parametrize(
    ("name", "message"),
    [("model-00001-of-00002.safetensors", "one shard of several"), ("my model.safetensors", "'my model' cannot name")],
)
def test_names_that_no_model_can_have(name: str, message: str, models: Path) -> None:
    (models / "dream.safetensors").rename(models / name)
    with pytest.raises(FamilyError, match=message):
        discover([models])


def test_pickles_beside_models_are_not_passed_over(models: Path) -> None:
    (models / "other.ckpt").write_bytes(b"\x80\x02}")
    with pytest.raises(CheckpointError, match=r"other\.ckpt.*refused"):
        discover([models])


def test_finding_a_model_of_many_gigabytes_is_quick_and_imports_no_torch(models: Path) -> None:
    write_sparse(models / "dream.safetensors", SD1 | {f"{MODEL}large.{index}": (1 << 24, 64) for index in range(8)})
    assert (models / "dream.safetensors").stat().st_size > 16 << 30
    program = (
        "import sys, time, json; from pathlib import Path; from families.catalog import discover\n"
        "began = time.process_time(); found = discover([Path(sys.argv[1])])\n"
        "heavy = [name for name in ('torch', 'diffusers', 'gguf', 'safetensors') if name in sys.modules]\n"
        "print(json.dumps([list(found), time.process_time() - began, heavy]))"
    )
    arguments = [sys.executable, "-c", program, str(models)]
    names, seconds, heavy = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
    assert (names, heavy) == (["dream"], [])
    # Of this process alone, and a core that others use makes that more too.
    assert seconds < 3


def _part(folder: Path, *names: str) -> Path:
    write_json(folder / "unet" / "config.json", {})
    for name in names:
        (folder / "unet" / name).write_bytes(b"")
    return folder


def test_weights_of_a_folder(tmp_path: Path) -> None:
    standard = "diffusion_pytorch_model.safetensors"
    root = _part(tmp_path, "diffusion_pytorch_model.fp16.safetensors")
    assert folder_weights(root, "unet").files == (root / "unet" / "diffusion_pytorch_model.fp16.safetensors",)
    assert folder_weights(_part(root, standard), "unet").files == (root / "unet" / standard,)
    index = root / "unet" / f"{standard}.index.json"
    write_json(index, {"weight_map": {"a": "x-1.safetensors", "b": "x-2.safetensors", "c": "x-1.safetensors"}})
    with pytest.raises(CheckpointError, match=r"x-1\.safetensors, x-2\.safetensors, which are missing"):
        folder_weights(root, "unet")
    weights = folder_weights(_part(root, "x-1.safetensors", "x-2.safetensors"), "unet")
    assert [path.name for path in weights.files] == ["x-1.safetensors", "x-2.safetensors"]
    assert {path for path, _ in weights.everything} == {weights.config, index, *weights.files}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "holds no weights"),
        (("diffusion_pytorch_model.bin",), r"holds no weights.*diffusion_pytorch_model\.bin is a pickle"),
        (("a.safetensors", "b.gguf"), r"several weights files: a\.safetensors, b\.gguf"),
        (("x.safetensors.index.json",), "no index of safetensors shards"),
    ],
)
def test_folders_without_usable_weights(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message):
        folder_weights(_part(tmp_path, *names), "unet")


def test_a_part_without_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"unet/config\.json is missing"):
        folder_weights(tmp_path, "unet")
