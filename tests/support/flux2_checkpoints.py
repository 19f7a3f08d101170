"""Writes FLUX.2's transformer as its authors name it; the reverse of the conversion, written from the architectures."""

import re
from collections.abc import Mapping

import torch

_ENDS = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "double_stream_modulation_img.linear": "double_stream_modulation_img.lin",
    "double_stream_modulation_txt.linear": "double_stream_modulation_txt.lin",
    "single_stream_modulation.linear": "single_stream_modulation.lin",
    "proj_out": "final_layer.linear",
}
_DOUBLE = {
    "attn.norm_q.weight": "img_attn.norm.query_norm.scale",
    "attn.norm_k.weight": "img_attn.norm.key_norm.scale",
    "attn.norm_added_q.weight": "txt_attn.norm.query_norm.scale",
    "attn.norm_added_k.weight": "txt_attn.norm.key_norm.scale",
    "attn.to_out.0.weight": "img_attn.proj.weight",
    "attn.to_add_out.weight": "txt_attn.proj.weight",
    "ff.linear_in.weight": "img_mlp.0.weight",
    "ff.linear_out.weight": "img_mlp.2.weight",
    "ff_context.linear_in.weight": "txt_mlp.0.weight",
    "ff_context.linear_out.weight": "txt_mlp.2.weight",
}
_JOINED = {
    "img_attn.qkv.weight": ("attn.to_q.weight", "attn.to_k.weight", "attn.to_v.weight"),
    "txt_attn.qkv.weight": ("attn.add_q_proj.weight", "attn.add_k_proj.weight", "attn.add_v_proj.weight"),
}
_SINGLE = {
    "attn.to_qkv_mlp_proj.weight": "linear1.weight",
    "attn.to_out.weight": "linear2.weight",
    "attn.norm_q.weight": "norm.query_norm.scale",
    "attn.norm_k.weight": "norm.key_norm.scale",
}


def ldm_flux2(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A diffusers FLUX.2 transformer's tensors under their original names."""
    made = {}
    for name, tensor in state.items():
        if name == "norm_out.linear.weight":
            scale, shift = tensor.chunk(2)
            made["final_layer.adaLN_modulation.1.weight"] = torch.cat((shift, scale))
        elif found := re.match(r"(single_)?transformer_blocks\.(\d+)\.(.+)", name):
            kind, names = ("single_blocks", _SINGLE) if found[1] else ("double_blocks", _DOUBLE)
            if found[3] in names:
                made[f"{kind}.{found[2]}.{names[found[3]]}"] = tensor
        else:
            owner, _, leaf = name.rpartition(".")
            made[f"{_ENDS[owner]}.{leaf}"] = tensor
    blocks = {name.split(".")[1] for name in state if name.startswith("transformer_blocks.")}
    for block in blocks:
        for joined, parts in _JOINED.items():
            rows = [state[f"transformer_blocks.{block}.{part}"] for part in parts]
            made[f"double_blocks.{block}.{joined}"] = torch.cat(rows)
    return made
