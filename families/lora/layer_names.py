"""Under which names files speak of a model's layers; the model's own are those of diffusers and transformers."""

import re
from collections.abc import Iterable, Iterator

_FIRST_LISTED = ".0"
_CLIP = "text_model."
_DOWN = re.compile(r"down_blocks\.(\d+)\.(resnets|attentions|downsamplers)\.(\d+)\.(.+)")
_UP = re.compile(r"up_blocks\.(\d+)\.(resnets|attentions|upsamplers)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")
_DOWN_RESNET = re.compile(r"down_blocks\.0\.resnets\.(\d+)\.conv1")
_RESNET = {
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_OUTSIDE = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}


def layer_index(layers: Iterable[str]) -> dict[str, str]:
    """A part's layers by every name that files may use for them, dots written as underscores."""
    names = tuple(layers)
    # Adapters of SDXL mostly name its UNet's layers as its first authors did, in numbered blocks.
    resnets = sum(_DOWN_RESNET.fullmatch(layer) is not None for layer in names)
    index: dict[str, str] = {}
    for layer in names:
        short = layer.removeprefix(_CLIP)
        for name in (layer, short, _CLIP + short, *_numbered(layer, resnets)):
            index[name.replace(".", "_")] = layer
            if name.endswith("to_out.0"):  # a list of one layer; the oldest adapters leave the index out
                index.setdefault(name.removesuffix(_FIRST_LISTED).replace(".", "_"), layer)
    return index


def _numbered(layer: str, resnets: int) -> Iterator[str]:
    """The name in a UNet of numbered blocks, if it is one's; `resnets` are those of each block that goes down."""
    if layer in _OUTSIDE:
        yield _OUTSIDE[layer]
    elif match := _DOWN.fullmatch(layer):
        block, kind, at, rest = int(match[1]), match[2], int(match[3]), match[4]
        first = 1 + block * (resnets + 1)
        if kind == "downsamplers":
            yield f"input_blocks.{first + resnets}.0.op"
        else:
            yield f"input_blocks.{first + at}.{_inner(kind, rest)}"
    elif match := _UP.fullmatch(layer):
        block, kind, at, rest = int(match[1]), match[2], int(match[3]), match[4]
        first = block * (resnets + 1)
        if kind == "upsamplers":  # behind the block's last attention, or in its place
            yield f"output_blocks.{first + resnets}.2.{rest}"
            yield f"output_blocks.{first + resnets}.1.{rest}"
        else:
            yield f"output_blocks.{first + at}.{_inner(kind, rest)}"
    elif match := _MIDDLE.fullmatch(layer):
        kind, at, rest = match[1], int(match[2]), match[3]
        place = 1 if kind == "attentions" else 2 * at
        yield f"middle_block.{place}.{_inner(kind, rest).partition('.')[2]}"


def _inner(kind: str, rest: str) -> str:
    return f"1.{rest}" if kind == "attentions" else f"0.{_RESNET.get(rest, rest)}"
