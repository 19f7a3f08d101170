"""Weights of every naming become the modules that their configurations describe, or the reason why not is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, Flux2Transformer2DModel, QwenImageTransformer2DModel, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from engine.checkpoints import open_part, own_memory
from engine.errors import RuntimeUnavailableError
from engine.modules import load_module, load_source_module
from engine.open import open_component
from engine.settings import RuntimeSettings
from export.verification.threads import torch_threads
from families.catalog import FAMILIES, ModelSource, load_source
from families.errors import CheckpointError
from families.manifest import Component
from families.repository import WEIGHTS_FOLDER
from families.sources.configs import packaged_configs
from families.sources.identify import identify
from families.sources.single_file import open_single_file
from families.sources.weights import PartWeights, folder_weights
from tests.support.checkpoints import (
    State,
    flat_clip,
    ldm_unet,
    ldm_vae,
    open_clip,
    prefixed,
    write_single_file,
    write_sparse,
)

PARTS = {component: parts[0] for component, parts in FAMILIES["stable-diffusion"].parts.items()}
TINY_XL = {
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [16, 32],
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "cross_attention_dim": 64,
    "attention_head_dim": 8,
    "norm_num_groups": 8,
    "transformer_layers_per_block": [1, 2],
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 80,
    "sample_size": 8,
}


def _equal(module: nn.Module, expected: State) -> None:
    state = module.state_dict()
    assert state.keys() == expected.keys()
    different = [name for name, tensor in state.items() if not torch.equal(tensor, expected[name])]
    assert different == []


def _write_config(folder: Path, config: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture
def single(tiny: ModelSource, tmp_path: Path) -> Path:
    """The tiny model in one file; its configurations and tokenizer beside it, no weights."""
    for part in PARTS.values():
        _write_config(tmp_path / "dream.config" / part, json.loads((tiny.folder / part / "config.json").read_text()))
    for part in ("tokenizer", "scheduler"):
        shutil.copytree(tiny.folder / part, tmp_path / "dream.config" / part)
    return write_single_file(tiny.folder, tmp_path / "dream.safetensors")


@pytest.mark.parametrize("component", list(Component))
def test_a_folder_gives_what_the_libraries_load(component: Component, tiny: ModelSource) -> None:
    folder = tiny.folder / PARTS[component]
    expected: nn.Module = {
        Component.TEXT_ENCODER: CLIPTextModel,
        Component.DENOISER: UNet2DConditionModel,
        Component.VAE_ENCODER: AutoencoderKL,
        Component.VAE_DECODER: AutoencoderKL,
    }[component].from_pretrained(folder)
    _equal(open_part(folder_weights(tiny.folder, PARTS[component])), expected.state_dict())


@pytest.mark.parametrize("component", list(Component))
def test_a_single_file_gives_the_same_module(component: Component, tiny: ModelSource, single: Path) -> None:
    module = load_source_module(load_source(single), component)
    _equal(module, load_module("stable-diffusion", component, tiny.folder).state_dict())


def test_early_files_name_the_text_encoder_without_its_wrapper(tiny: ModelSource, single: Path) -> None:
    state = {name.replace(".text_model.", "."): tensor.clone() for name, tensor in load_file(single).items()}
    save_file(state, single)
    module = load_source_module(load_source(single), Component.TEXT_ENCODER)
    _equal(module, load_module("stable-diffusion", Component.TEXT_ENCODER, tiny.folder).state_dict())


def test_shards_make_one_module(tiny: ModelSource, tmp_path: Path) -> None:
    state = load_file(tiny.folder / "unet" / "diffusion_pytorch_model.safetensors")
    names = sorted(state)
    _write_config(tmp_path / "unet", json.loads((tiny.folder / "unet" / "config.json").read_text()))
    weight_map = {}
    for index, part in enumerate((names[::2], names[1::2]), 1):
        shard = f"diffusion_pytorch_model-{index:05}-of-00002.safetensors"
        save_file({name: state[name] for name in part}, tmp_path / "unet" / shard)
        weight_map |= dict.fromkeys(part, shard)
    index_file = tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index_file.write_text(json.dumps({"weight_map": weight_map}))
    _equal(open_part(folder_weights(tmp_path, "unet")), state)


def test_old_autoencoders_are_understood(tiny: ModelSource, tmp_path: Path) -> None:
    """Files from before diffusers' attention was one class."""
    state = load_file(tiny.folder / "vae" / "diffusion_pytorch_model.safetensors")
    renames = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    old = {}
    for name, tensor in state.items():
        for new, former in renames.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{former}.")
        old[name] = tensor
    assert old.keys() != state.keys()
    _write_config(tmp_path / "vae", json.loads((tiny.folder / "vae" / "config.json").read_text()))
    save_file(old, tmp_path / "vae" / "diffusion_pytorch_model.safetensors")
    _equal(open_part(folder_weights(tmp_path, "vae")), state)


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, nn.Module]]:
    """A small SDXL in one file, and the modules that it was written from."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("xl")
    clip = {"vocab_size": 20, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    clip |= {"max_position_embeddings": 8, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    vae = {"block_out_channels": [8, 16], "layers_per_block": 1, "latent_channels": 4, "norm_num_groups": 4}
    vae |= {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    configs: dict[str, dict[str, object]] = {
        "unet": dict(TINY_XL),
        "vae": dict(vae),
        "text_encoder": clip | {"hidden_size": 24, "projection_dim": 24},
        "text_encoder_2": clip | {"hidden_size": 40, "projection_dim": 40},
    }
    builders: dict[str, Callable[[dict[str, object]], nn.Module]] = {
        "unet": UNet2DConditionModel.from_config,
        "vae": AutoencoderKL.from_config,
        "text_encoder": lambda config: CLIPTextModel(CLIPTextConfig.from_dict(config)),
        "text_encoder_2": lambda config: CLIPTextModelWithProjection(CLIPTextConfig.from_dict(config)),
    }
    modules = {part: builders[part](config).eval() for part, config in configs.items()}
    for part, config in configs.items():
        _write_config(folder / "xl.config" / part, config)
    states = {part: module.state_dict() for part, module in modules.items()}
    state = {
        **prefixed("model.diffusion_model.", ldm_unet(states["unet"], 1, (True, False))),
        **prefixed("first_stage_model.", ldm_vae(states["vae"], 2)),
        **prefixed("conditioner.embedders.0.transformer.text_model.", flat_clip(states["text_encoder"])),
        **prefixed("conditioner.embedders.1.model.", open_clip(states["text_encoder_2"], 2)),
    }
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "xl.safetensors")
    return folder / "xl.safetensors", modules


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "text_encoder_2"])
def test_every_part_of_an_sdxl_file_is_read(part: str, xl: tuple[Path, dict[str, nn.Module]]) -> None:
    path, modules = xl
    assert identify(path).family == "stable-diffusion-xl"
    _equal(open_part(open_single_file(path).weights(part)), modules[part].state_dict())


def test_an_sdxl_unet_computes_the_same(xl: tuple[Path, dict[str, nn.Module]]) -> None:
    path, modules = xl
    unet = open_part(open_single_file(path).weights("unet"))
    extra = {"text_embeds": torch.randn(2, 32), "time_ids": torch.randn(2, 6)}
    inputs = (torch.randn(2, 4, 8, 8), torch.tensor([3.0, 900.0]), torch.randn(2, 8, 64))
    with torch.inference_mode(), torch_threads(1):
        ours, theirs = (module(*inputs, added_cond_kwargs=extra).sample for module in (unet, modules["unet"]))
    assert torch.equal(ours, theirs)


def test_half_precision_is_kept_or_widened(tiny: ModelSource, tmp_path: Path) -> None:
    state = load_file(tiny.folder / "unet" / "diffusion_pytorch_model.safetensors")
    _write_config(tmp_path / "unet", json.loads((tiny.folder / "unet" / "config.json").read_text()))
    half = {name: tensor.to(torch.bfloat16) for name, tensor in state.items()}
    save_file(half, tmp_path / "unet" / "diffusion_pytorch_model.safetensors")
    weights = folder_weights(tmp_path, "unet")
    _equal(open_part(weights, torch.bfloat16), half)
    _equal(open_part(weights), {name: tensor.float() for name, tensor in half.items()})


def test_tensors_need_no_alignment(tiny: ModelSource, tmp_path: Path) -> None:
    """The format allows a header of any length, and numbers anywhere after it."""
    shutil.copytree(tiny.folder / "unet", tmp_path / "unet")
    weights = folder_weights(tmp_path, "unet")
    expected = {name: tensor.clone() for name, tensor in load_file(weights.files[0]).items()}
    content = weights.files[0].read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].rstrip() + b" "
    header += b" " * ((3 - len(header)) % 4)  # 8 + length is then 3 more than a multiple of 4
    weights.files[0].write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    _equal(open_part(weights), expected)


@pytest.mark.parametrize(
    ("dtype", "error"),
    [(torch.float8_e4m3fn, None), (torch.uint16, "U16, which cannot be read as numbers; weights may be F64, F32")],
)
def test_types_that_torch_has(dtype: torch.dtype, error: str | None, tiny: ModelSource, tmp_path: Path) -> None:
    shutil.copytree(tiny.folder / "vae", tmp_path / "vae")
    weights = folder_weights(tmp_path, "vae")
    state = {name: tensor.clone() for name, tensor in load_file(weights.files[0]).items()}
    name = "decoder.conv_in.weight"
    state[name] = (state[name] if error is None else state[name].abs() * 1000).to(dtype)
    save_file(state, weights.files[0])
    if error is None:
        _equal(open_part(weights), {key: tensor.float() for key, tensor in state.items()})
    else:
        with pytest.raises(CheckpointError, match=error):
            open_part(weights)


def _broken(state: dict[str, torch.Tensor], fault: str) -> dict[str, torch.Tensor]:
    first = "model.diffusion_model.input_blocks.1.0.in_layers.2.weight"
    if fault == "missing":
        del state[first]
    elif fault == "shape":
        state[first] = state[first][:, :, :1].contiguous()
    else:
        state["model.diffusion_model.middle_block.1.transformer_blocks.1.norm1.weight"] = torch.ones(3)
    return state


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("missing", r"1 tensors are missing: down_blocks\.0\.resnets\.0\.conv1\.weight"),
        ("shape", r"down_blocks\.0\.resnets\.0\.conv1\.weight is \[16, 16, 1, 3\], the configuration wants"),
        ("extra", r"1 tensors have no place.*transformer_blocks\.1\.norm1\.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(fault: str, message: str, single: Path) -> None:
    state = {name: tensor.clone() for name, tensor in load_file(single).items()}
    save_file(_broken(state, fault), single)
    source = load_source(single)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_source_module(source, Component.DENOISER)
    assert str(single) in str(caught.value)
    assert str(single.with_suffix(".config") / "unet" / "config.json") in str(caught.value)


@pytest.mark.parametrize("config", ["{", '{"block_out_channels": [16]}', "[]"])
def test_a_configuration_that_describes_nothing(config: str, tiny: ModelSource, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=r"config\.json does not describe a unet"):
        open_part(PartWeights("unet", tmp_path / "config.json", ()))


def test_published_weights_that_are_broken_keep_the_runtime_closed(published: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(published, tmp_path / "1"))
    weights = next((copy / WEIGHTS_FOLDER / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(RuntimeUnavailableError, match="truncated"):
        open_component(copy, Component.DENOISER, "torch", RuntimeSettings(threads=1, device="cpu"))
    weights.unlink()
    with pytest.raises(RuntimeUnavailableError, match="holds no weights"):
        open_component(copy, Component.DENOISER, "torch", RuntimeSettings(threads=1, device="cpu"))


def test_own_memory_is_out_of_a_files_reach(tiny: ModelSource, tmp_path: Path) -> None:
    """A module shares its file's pages, which a writer would change under it, until it has its own."""
    shutil.copytree(tiny.folder / "vae", tmp_path / "vae")
    weights = folder_weights(tmp_path, "vae")
    shared, owned = open_part(weights), open_part(weights)
    own_memory(owned)
    before = {name: tensor.clone() for name, tensor in owned.state_dict().items()}
    size = weights.files[0].stat().st_size
    with weights.files[0].open("r+b") as file:
        file.seek(size // 2)
        file.write(bytes(size - size // 2))
    _equal(owned, before)
    assert any(not torch.equal(tensor, before[name]) for name, tensor in shared.state_dict().items())


def _published_shapes() -> dict[str, tuple[int, ...]]:
    """Stable Diffusion 1.5's tensors, from its published architecture."""
    folder = packaged_configs("stable-diffusion")
    configs = {part: json.loads((folder / part / "config.json").read_text()) for part in PARTS.values()}
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(configs["unet"]).state_dict()
        vae = AutoencoderKL.from_config(configs["vae"]).state_dict()
        text = CLIPTextModel(CLIPTextConfig.from_dict(configs["text_encoder"])).state_dict()
        state = {
            **prefixed("model.diffusion_model.", ldm_unet(unet, 2, (False, True, True, True))),
            **prefixed("first_stage_model.", ldm_vae(vae, 4)),
            **prefixed("cond_stage_model.transformer.text_model.", flat_clip(text)),
        }
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def test_a_full_checkpoint_is_mapped_and_not_read(tmp_path: Path) -> None:
    """All of Stable Diffusion 1.5, 4.3 GB in float32: opening its parts takes no memory to speak of."""
    shapes = _published_shapes()
    path = write_sparse(tmp_path / "full.safetensors", shapes, "F32")
    assert path.stat().st_size > 4_000_000_000
    file = open_single_file(path)
    before = _resident_bytes()
    counts = {}
    for part in ("unet", "vae", "text_encoder"):
        module = open_part(file.weights(part))
        counts[part] = sum(parameter.numel() for parameter in module.parameters())
    assert counts == {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480}
    assert _resident_bytes() - before < 200 << 20


def test_a_full_sdxl_unet_fits_its_published_architecture(tmp_path: Path) -> None:
    """5.1 GB in half precision, mapped; every tensor's name and shape is held against the packaged configuration."""
    config = json.loads((packaged_configs("stable-diffusion-xl") / "unet" / "config.json").read_text())
    with torch.device("meta"):
        state = UNet2DConditionModel.from_config(config).state_dict()
    names = prefixed("model.diffusion_model.", ldm_unet(state, 2, (True, True, False)))
    path = write_sparse(tmp_path / "xl.safetensors", {name: tuple(tensor.shape) for name, tensor in names.items()})
    before = _resident_bytes()
    unet = open_part(open_single_file(path).weights("unet"), torch.float16)
    assert sum(parameter.numel() for parameter in unet.parameters()) == 2_567_463_684
    assert _resident_bytes() - before < 200 << 20


def _resident_bytes() -> int:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) << 10


def test_other_families_are_recognised_by_their_modules_names(tmp_path: Path) -> None:
    """Rows of the signature table against the libraries' own modules, made without memory."""
    with torch.device("meta"):
        modules = {
            "flux2": Flux2Transformer2DModel(num_layers=1, num_single_layers=1),
            "qwen-image": QwenImageTransformer2DModel(num_layers=1),
            "qwen-image-layered": QwenImageTransformer2DModel(num_layers=1, use_additional_t_cond=True),
        }
    for family, module in modules.items():
        shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        assert identify(write_sparse(tmp_path / "m.safetensors", shapes)).family == family
