"""Export from single files and GGUF: hashed, built, published; and every bad file is one line and exit status 2."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import onnxruntime as ort
import pytest
import torch
from click.testing import Result
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from engine.modules import load_module, load_source_module
from export.artefacts.source_hashes import SourceHashes
from export.build import Builder
from export.cli.app import app
from export.errors import ExportError
from export.publishing.options import PublishOptions, Runtime
from export.publishing.prepare import prepare
from export.sources import count_values, published_weights, source_hash
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.repository import ONNX_FILE, WEIGHTS_FOLDER
from tests.support.checkpoints import prefixed, tiny_unet_state, write_gguf, write_single_file, write_sparse

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def shared(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a side folder, without the weights of its UNet: whatever lies beside it is completed by it."""
    folder = tmp_path_factory.mktemp("side") / "shared.config"
    shutil.copytree(models_dir / "tiny", folder)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    return folder


@pytest.fixture
def directory(shared: Path, tmp_path: Path) -> Path:
    """An empty models directory, its side folder there."""
    shutil.copytree(shared, tmp_path / "models" / "shared.config")
    return tmp_path / "models"


@pytest.fixture
def dream(models_dir: Path, directory: Path) -> Path:
    return write_single_file(models_dir / "tiny", directory / "dream.safetensors")


@pytest.fixture
def quantised(models_dir: Path, directory: Path) -> Path:
    return write_gguf(directory / "small.gguf", tiny_unet_state(models_dir / "tiny"), Kind.Q8_0)


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_file_is_hashed_once_for_all_its_components(dream: Path, tmp_path: Path) -> None:
    source, read = load_source(dream), list[Path]()

    def hash_file(path: Path) -> str:
        read.append(path)
        return path.name

    hashes = {source_hash(source, component, hash_file) for component in Component}
    assert len(hashes) == len(Component) - 1, "both halves of the VAE are one part"
    assert read.count(dream) == len(Component)
    cache = tmp_path / "hashes.json"
    first = [SourceHashes(cache).of(source, component) for component in Component]
    assert first == [source_hash(source, component) for component in Component]
    entries = json.loads(cache.read_text())
    assert sum(path.endswith("dream.safetensors") for path in entries) == 1
    dream.write_bytes(dream.read_bytes() + b"")
    entries[str(dream.resolve())][2] = "remembered"
    cache.write_text(json.dumps(entries))
    assert SourceHashes(cache).of(source, Component.DENOISER) == first[1]  # written again, so read again


def test_other_weights_hash_otherwise(dream: Path) -> None:
    before = source_hash(load_source(dream), Component.DENOISER)
    state = _load(dream)
    name = "model.diffusion_model.out.2.bias"
    save_file({**state, name: state[name] + 1}, dream)
    assert source_hash(load_source(dream), Component.DENOISER) != before


def test_a_file_that_is_gone_is_named(dream: Path, tmp_path: Path) -> None:
    source = load_source(dream)
    dream.unlink()
    with pytest.raises(ExportError, match=r"dream\.denoiser: its source cannot be read.*dream\.safetensors"):
        SourceHashes(tmp_path / "hashes.json").of(source, Component.DENOISER)


def test_values_are_those_of_the_component_alone(dream: Path, quantised: Path, source: ModelSource) -> None:
    for component in (Component.DENOISER, Component.VAE_DECODER):
        module = load_module("stable-diffusion", component, source.folder)
        expected = sum(tensor.numel() for tensor in module.state_dict().values())
        for each in (source, load_source(dream), load_source(quantised)):
            assert count_values(each, component) == expected


def test_export_computes_what_the_source_holds(quantised: Path, tmp_path: Path) -> None:
    """Its UNet from a GGUF, the rest from the side folder: built and verified by the command, then compared by hand."""
    arguments = ("--models-dir", quantised.parent, "--runtime-dir", tmp_path / "runtime", "--model", "small")
    result = _run("build", *arguments)
    assert result.exit_code == 0, result.output
    assert result.output.count("passed") == 4
    graph = next((tmp_path / "runtime").glob(f"artefacts/small/denoiser-*/{ONNX_FILE}"))
    inputs = (torch.randn(2, 4, 8, 8), torch.tensor([5.0, 700.0]), torch.randn(2, 16, 32))
    session = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    feed = dict(zip(("sample", "timestep", "context"), (tensor.numpy() for tensor in inputs), strict=True))
    module = load_source_module(load_source(quantised), Component.DENOISER)
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(session.run(None, feed)[0]), module(*inputs), rtol=1e-4, atol=2e-4)


def test_the_torch_runtimes_weights_are_self_contained(dream: Path, quantised: Path, tmp_path: Path) -> None:
    repository = prepare([dream.parent], tmp_path / "runtime", PublishOptions(runtime=Runtime.TORCH))
    expected = {path.stem: load_source_module(load_source(path), Component.DENOISER) for path in (dream, quantised)}
    moved = Path(shutil.move(repository, tmp_path / "elsewhere"))
    shutil.rmtree(dream.parent)
    for name, module in expected.items():
        weights = next(moved.glob(f"{name}.denoiser/*/{WEIGHTS_FOLDER}"))
        published = load_module("stable-diffusion", Component.DENOISER, weights)
        state = published.state_dict()
        assert all(torch.equal(tensor, state[key]) for key, tensor in module.state_dict().items())


def test_only_a_parts_files_are_published(source: ModelSource, quantised: Path) -> None:
    places = {str(place) for _, place in published_weights(load_source(quantised), Component.DENOISER)}
    assert places == {"unet/config.json", "unet/small.gguf"}
    places = {str(place) for _, place in published_weights(source, Component.VAE_DECODER)}
    assert places == {"vae/config.json", "vae/diffusion_pytorch_model.safetensors"}


def _load(path: Path) -> dict[str, torch.Tensor]:
    """Copies: what is mapped from a file must not be written over it."""
    return {name: tensor.clone() for name, tensor in load_file(path).items()}


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _drop_vae(path: Path) -> None:
    save_file({name: value for name, value in _load(path).items() if not name.startswith("first_stage")}, path)
    shutil.rmtree(path.parent / "shared.config" / "vae")


def _pickle(path: Path) -> None:
    torch.save(_load(path), path)


def _lie(path: Path) -> None:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    first = min((entry for entry in header.values()), key=lambda entry: entry["data_offsets"][0])
    first["data_offsets"][1] += 4
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def _other_family(path: Path) -> None:
    shapes = {"double_blocks.0.img_mod.lin.weight": (9, 3), "double_blocks.0.img_attn.qkv.weight": (9, 3)}
    write_sparse(path, prefixed("model.diffusion_model.", shapes))  # type: ignore[arg-type]


def _unknown(path: Path) -> None:
    write_sparse(path, {"lora.up": (2, 2)})


def _lose_a_tensor(path: Path) -> None:
    state = _load(path)
    del state["cond_stage_model.transformer.text_model.encoder.layers.1.mlp.fc1.weight"]
    save_file(state, path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "is truncated"),
        (_drop_vae, "vae/config.json"),
        (_pickle, "pickle formats can run code"),
        (_lie, "not"),
        (_other_family, "flux1 (transformer), which is recognised but not served yet; served are stable-diffusion"),
        (_unknown, "holds no known model"),
        (_lose_a_tensor, "1 tensors are missing: encoder.layers.1.mlp.fc1.weight"),
    ],
)
def test_a_bad_file_is_one_line_and_nothing_is_built(damage: Damage, message: str, dream: Path, tmp_path: Path) -> None:
    damage(dream)
    result = _run("build", "--model", "dream", "--models-dir", dream.parent, "--runtime-dir", tmp_path / "runtime")
    assert result.exit_code == 2, result.output
    errors = [line for line in result.output.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "dream" in errors[0]
    assert "Traceback" not in result.output
    assert not list((tmp_path / "runtime").glob(f"artefacts/dream/*/{ONNX_FILE}"))


def test_a_truncated_gguf_is_one_line(quantised: Path, tmp_path: Path) -> None:
    _truncate(quantised)
    result = _run("build", "--model", "small", "--models-dir", quantised.parent, "--runtime-dir", tmp_path / "runtime")
    assert result.exit_code == 2
    assert "small.gguf is truncated: tensor" in result.output


def test_a_gguf_without_a_text_encoder(quantised: Path, tmp_path: Path) -> None:
    (quantised.parent / "shared.config" / "text_encoder" / "model.safetensors").unlink()
    result = _run("build", "--models-dir", quantised.parent, "--runtime-dir", tmp_path / "runtime")
    assert result.exit_code == 2
    assert "text_encoder holds no weights" in result.output


def test_building_again_finds_everything(dream: Path, tmp_path: Path) -> None:
    source = load_source(dream)
    builder = Builder(tmp_path / "runtime")
    first = [builder.source_hash(source, component) for component in Component]
    shutil.copy2(dream, dream.with_suffix(".copy"))
    dream.with_suffix(".copy").replace(dream)  # the same content under another inode
    assert [builder.source_hash(load_source(dream), component) for component in Component] == first
