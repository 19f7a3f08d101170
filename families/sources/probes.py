"""Holds a checkpoint's shapes against the configuration that is to describe it, before anything heavy is loaded.

A few telling axes are enough to say early that a configuration is of another size; loading compares every tensor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from families.errors import CheckpointError
from families.sources.configs import ConfigFolders
from families.sources.header import Header
from families.sources.identify import FoundPart
from families.sources.signatures import Naming
from families.sources.weights import CONFIG_FILE


@dataclass(frozen=True, slots=True)
class _Probe:
    """An axis of a tensor and the configuration's key that says how long it is; of a list, the first entry."""

    tensor: str
    axis: int
    key: str


_TOKENS, _POSITIONS = "embeddings.token_embedding.weight", "embeddings.position_embedding.weight"
_CLIP = tuple(
    probe
    for prefix in ("text_model.", "")
    for probe in (
        _Probe(prefix + _TOKENS, 0, "vocab_size"),
        _Probe(prefix + _TOKENS, 1, "hidden_size"),
        _Probe(prefix + _POSITIONS, 0, "max_position_embeddings"),
    )
)
_VAE = (_Probe("decoder.conv_in.weight", 1, "latent_channels"),)

_PROBES: Mapping[tuple[str, Naming], tuple[_Probe, ...]] = MappingProxyType({
    ("unet", Naming.LDM): (
        _Probe("input_blocks.0.0.weight", 0, "block_out_channels"),
        _Probe("input_blocks.0.0.weight", 1, "in_channels"),
        _Probe("middle_block.1.transformer_blocks.0.attn2.to_k.weight", 1, "cross_attention_dim"),
    ),
    ("unet", Naming.DIFFUSERS): (
        _Probe("conv_in.weight", 0, "block_out_channels"),
        _Probe("conv_in.weight", 1, "in_channels"),
        _Probe("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1, "cross_attention_dim"),
    ),
    ("transformer", Naming.LDM): (
        _Probe("img_in.weight", 1, "in_channels"),
        _Probe("txt_in.weight", 1, "joint_attention_dim"),
        _Probe("context_embedder.weight", 1, "joint_attention_dim"),
        _Probe("context_embedder.weight", 0, "caption_projection_dim"),
    ),
    ("transformer", Naming.DIFFUSERS): (
        _Probe("x_embedder.weight", 1, "in_channels"),
        _Probe("context_embedder.weight", 1, "joint_attention_dim"),
        _Probe("context_embedder.weight", 0, "caption_projection_dim"),
    ),
    ("vae", Naming.LDM): (*_VAE, _Probe("encoder.conv_in.weight", 0, "block_out_channels")),
    ("vae", Naming.DIFFUSERS): (*_VAE, _Probe("encoder.conv_in.weight", 0, "block_out_channels")),
    ("text_encoder", Naming.LDM): _CLIP,
    ("text_encoder", Naming.DIFFUSERS): _CLIP,
    ("text_encoder_2", Naming.OPEN_CLIP): (
        _Probe("token_embedding.weight", 0, "vocab_size"),
        _Probe("token_embedding.weight", 1, "hidden_size"),
    ),
})  # fmt: skip


def check_config(header: Header, part: FoundPart, configs: ConfigFolders) -> None:
    """Raises CheckpointError naming the tensor, the configuration's key and where the right one belongs."""
    name = f"{part.name}/{CONFIG_FILE}"
    config = configs.read(name)
    for probe in _PROBES.get((part.name, part.naming), ()):
        entry = header.tensors.get(part.prefix + probe.tensor)
        wanted = _first(config.get(probe.key))
        if entry is None or wanted is None or len(entry.shape) <= probe.axis:
            continue
        if entry.shape[probe.axis] != wanted:
            raise CheckpointError(
                f"{header.path}: tensor {entry.name!r} is {list(entry.shape)}, but {configs.find(name)} says "
                f"{probe.key} {wanted}; put the configuration that fits this file into {configs.roots[0] / name}"
            )


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value
