"""Writes models as other tools do: one safetensors file with the first authors' tensor names, or one GGUF file.

The renaming goes from diffusers' structure to the original one and was written from the architectures, so it is an
independent check of the conversion in the other direction.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_UNET_ENDS = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_OPEN_CLIP_LAYER = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
State = Mapping[str, torch.Tensor]


def ldm_unet(state: State, layers_per_block: int, attended_up: tuple[bool, ...]) -> dict[str, torch.Tensor]:
    """A diffusers UNet's tensors under their original names; `attended_up` says which up blocks have attention."""
    return {_unet_name(name, layers_per_block, attended_up): tensor for name, tensor in state.items()}


def _unet_name(name: str, layers: int, attended_up: tuple[bool, ...]) -> str:
    for ours, theirs in _UNET_ENDS.items():
        if name.startswith(f"{ours}."):
            return name.replace(ours, theirs, 1)
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", name):
        kind, index, rest = found[1], int(found[2]), found[3]
        place = 1 if kind == "attentions" else 2 * index
        return f"middle_block.{place}.{_resnet(rest) if kind == 'resnets' else rest}"
    found = re.match(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.+)", name)
    assert found, name
    side, block, kind, index, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * (layers + 1)}.0.{rest.replace('conv', 'op')}"
    if kind == "upsamplers":
        return f"output_blocks.{block * (layers + 1) + layers}.{2 if attended_up[block] else 1}.{rest}"
    first = 1 + block * (layers + 1) if side == "down" else block * (layers + 1)
    slot = f"{'input' if side == 'down' else 'output'}_blocks.{first + index}"
    return f"{slot}.0.{_resnet(rest)}" if kind == "resnets" else f"{slot}.1.{rest}"


def _resnet(rest: str) -> str:
    part, _, leaf = rest.partition(".")
    return f"{_RESNET[part]}.{leaf}"


def ldm_vae(state: State, blocks: int) -> dict[str, torch.Tensor]:
    """An AutoencoderKL's tensors under their original names; attention as 1x1 convolutions."""
    made = {}
    for name, tensor in state.items():
        new = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
        new = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", new)
        new = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", new)
        new = re.sub(r"up_blocks\.(\d)\.resnets", lambda found: f"up.{blocks - 1 - int(found[1])}.block", new)
        new = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda found: f"up.{blocks - 1 - int(found[1])}.upsample", new)
        new = new.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        if found := re.match(r"(.*)mid_block\.attentions\.0\.(.+)\.(weight|bias)$", new):
            new = f"{found[1]}mid.attn_1.{_VAE_ATTENTION[found[2]]}.{found[3]}"
            if tensor.ndim == 2:
                tensor = tensor[:, :, None, None]
        made[new] = tensor
    return made


def flat_clip(state: State) -> dict[str, torch.Tensor]:
    """A CLIP text model's tensors without the wrapper's name."""
    return {name.removeprefix("text_model."): tensor for name, tensor in state.items()}


def open_clip(state: State, layers: int) -> dict[str, torch.Tensor]:
    """A CLIPTextModelWithProjection's tensors as OpenCLIP names and joins them."""
    flat = flat_clip(state)
    made = {
        "token_embedding.weight": flat["embeddings.token_embedding.weight"],
        "positional_embedding": flat["embeddings.position_embedding.weight"],
        "ln_final.weight": flat["final_layer_norm.weight"],
        "ln_final.bias": flat["final_layer_norm.bias"],
        "text_projection": flat["text_projection.weight"].T,
        "logit_scale": torch.ones((), dtype=flat["text_projection.weight"].dtype),
    }
    for index in range(layers):
        ours, theirs = f"encoder.layers.{index}", f"transformer.resblocks.{index}"
        for leaf in ("weight", "bias"):
            heads = [flat[f"{ours}.self_attn.{head}_proj.{leaf}"] for head in "qkv"]
            made[f"{theirs}.attn.in_proj_{leaf}"] = torch.cat(heads)
            for old, new in _OPEN_CLIP_LAYER.items():
                made[f"{theirs}.{new}.{leaf}"] = flat[f"{ours}.{old}.{leaf}"]
    return made


def prefixed(prefix: str, state: State) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


def tiny_unet_state(folder: Path) -> dict[str, torch.Tensor]:
    """The original names of the UNet in a folder of `tiny_model.write_tiny_model`."""
    return ldm_unet(load_file(folder / "unet" / "diffusion_pytorch_model.safetensors"), 1, (True, False))


def write_single_file(folder: Path, path: Path, *, without: tuple[str, ...] = ()) -> Path:
    """All of a tiny model's folder in one file in Stable Diffusion 1's layout, with what such files carry besides."""
    vae = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    text = load_file(folder / "text_encoder" / "model.safetensors")
    parts = {
        "unet": prefixed("model.diffusion_model.", tiny_unet_state(folder)),
        "vae": prefixed("first_stage_model.", ldm_vae(vae, 4)),
        "text_encoder": prefixed("cond_stage_model.transformer.text_model.", flat_clip(text)),
    }
    state = {name: tensor for part, tensors in parts.items() if part not in without for name, tensor in tensors.items()}
    state["alphas_cumprod"] = torch.linspace(1, 0, 1000)
    if "text_encoder" not in without:
        state["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(16)[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path


def write_gguf(
    path: Path, state: State, kind: gguf.GGMLQuantizationType, *, rest: gguf.GGMLQuantizationType | None = None
) -> Path:
    """Matrices whose rows fill blocks as `kind`, other tensors of more than one axis as `rest`, vectors as F32."""
    writer = gguf.GGUFWriter(path, arch="sd1")
    other = rest or gguf.GGMLQuantizationType.F16
    for name, tensor in state.items():
        array = np.ascontiguousarray(tensor.float().numpy())
        chosen = gguf.GGMLQuantizationType.F32 if array.ndim < 2 else other
        if array.ndim == 2 and array.shape[1] % gguf.GGML_QUANT_SIZES[kind][0] == 0:
            chosen = kind
        writer.add_tensor(name, gguf.quants.quantize(array, chosen), raw_dtype=chosen)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_sparse(path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "F16") -> Path:
    """A safetensors file of zeros that takes no room on disk, whatever its size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + int(np.prod(shape, dtype=np.int64)) * {"F16": 2, "F32": 4}[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return path
