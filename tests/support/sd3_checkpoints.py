"""Writes Stable Diffusion 3's transformer as its authors name it; the reverse of the conversion."""

import re
from collections.abc import Mapping

import torch

_ENDS = {
    "pos_embed.pos_embed": "pos_embed",
    "pos_embed.proj": "x_embedder.proj",
    "context_embedder": "context_embedder",
    "time_text_embed.timestep_embedder.linear_1": "t_embedder.mlp.0",
    "time_text_embed.timestep_embedder.linear_2": "t_embedder.mlp.2",
    "time_text_embed.text_embedder.linear_1": "y_embedder.mlp.0",
    "time_text_embed.text_embedder.linear_2": "y_embedder.mlp.2",
    "proj_out": "final_layer.linear",
}
_BLOCK = {
    "attn.norm_q": "x_block.attn.ln_q",
    "attn.norm_k": "x_block.attn.ln_k",
    "attn.norm_added_q": "context_block.attn.ln_q",
    "attn.norm_added_k": "context_block.attn.ln_k",
    "attn.to_out.0": "x_block.attn.proj",
    "attn.to_add_out": "context_block.attn.proj",
    "attn2.norm_q": "x_block.attn2.ln_q",
    "attn2.norm_k": "x_block.attn2.ln_k",
    "attn2.to_out.0": "x_block.attn2.proj",
    "norm1.linear": "x_block.adaLN_modulation.1",
    "norm1_context.linear": "context_block.adaLN_modulation.1",
    "ff.net.0.proj": "x_block.mlp.fc1",
    "ff.net.2": "x_block.mlp.fc2",
    "ff_context.net.0.proj": "context_block.mlp.fc1",
    "ff_context.net.2": "context_block.mlp.fc2",
}
_JOINED = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
}


def ldm_sd3(state: Mapping[str, torch.Tensor], blocks: int) -> dict[str, torch.Tensor]:
    """A diffusers SD3 transformer's tensors under their original names; it has so many blocks."""
    made: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        owner, _, leaf = name.rpartition(".")
        if name in _ENDS:
            made[_ENDS[name]] = tensor
        elif owner == "norm_out.linear":
            made[f"final_layer.adaLN_modulation.1.{leaf}"] = _swapped(tensor)
        elif found := re.match(r"transformer_blocks\.(\d+)\.(.+)", owner):
            block, inner = int(found[1]), found[2]
            if inner in _BLOCK:
                # The last block's text ends there: its modulation is only a scale and a shift.
                swap = inner == "norm1_context.linear" and block == blocks - 1
                made[f"joint_blocks.{block}.{_BLOCK[inner]}.{leaf}"] = _swapped(tensor) if swap else tensor
        else:
            made[f"{_ENDS[owner]}.{leaf}"] = tensor
    for block in range(blocks):
        for joined, parts in _JOINED.items():
            for leaf in ("weight", "bias"):
                names = [f"transformer_blocks.{block}.{part}.{leaf}" for part in parts]
                if names[0] in state:
                    made[f"joint_blocks.{block}.{joined}.{leaf}"] = torch.cat([state[name] for name in names])
    return made


def _swapped(tensor: torch.Tensor) -> torch.Tensor:
    scale, shift = tensor.chunk(2)
    return torch.cat((shift, scale))
