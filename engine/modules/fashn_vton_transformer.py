"""FASHN VTON's transformer, in pixels: a person's patches, drawn anew beside a garment's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import nn

from engine.modules.fashn_vton_blocks import DoubleBlock, LastLayer, SingleBlock, Width
from engine.modules.rotary import Rotation, joined

_FREQUENCIES = 256
_THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class FashnVtonConfig:
    """What the configuration says; lengths in pixels or tokens' channels."""

    input_height: int
    input_width: int
    hidden_size: int
    num_attention_heads: int
    num_double_blocks: int
    num_single_blocks: int
    num_mixer_blocks: int
    in_channels: int
    patch_size: int
    num_categories: int
    axes_dims_rope: tuple[int, int, int]
    rope_theta: float
    mlp_ratio: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "FashnVtonConfig":
        """Raises KeyError for a key that is missing, ValueError for numbers that do not fit each other."""
        values = {name: config[name] for name in cls.__dataclass_fields__}
        made = cls(**(values | {"axes_dims_rope": tuple(values["axes_dims_rope"])}))
        if sum(made.axes_dims_rope) * made.num_attention_heads != made.hidden_size:
            raise ValueError("axes_dims_rope must add up to the channels of one head")
        if made.input_height % made.patch_size or made.input_width % made.patch_size:
            raise ValueError("input_height and input_width must be multiples of patch_size")
        return made

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.input_height // self.patch_size, self.input_width // self.patch_size


class FashnVtonTransformer(nn.Module):
    """Pixels float32 [B, C, H, W] of the configured size and time [B] in [0, 1], 1 being the picture -> velocity
    [B, C, H, W], from noise towards the picture.

    Category 0 is none, others count from 1.
    """

    # A leftover of the training, which nothing here reads.
    _keys_to_ignore_on_load_unexpected = (r"^patch_mixer_token$",)

    def __init__(self, config: FashnVtonConfig) -> None:
        super().__init__()
        width = Width(config.hidden_size, config.num_attention_heads, config.mlp_ratio)
        self.config = config
        self.t_embedder = TimeEmbedder(config.hidden_size)
        self.y_embedder = nn.Embedding(config.num_categories + 1, config.hidden_size)
        # Noise, person and pose; garment and pose.
        self.x_embedder = PatchEmbedder(2 * config.in_channels + 1, config)
        self.garment_embedder = PatchEmbedder(config.in_channels + 1, config)
        self.x_patch_mixer = nn.ModuleList(SingleBlock(width) for _ in range(config.num_mixer_blocks))
        self.double_blocks = nn.ModuleList(DoubleBlock(width) for _ in range(config.num_double_blocks))
        self.single_blocks = nn.ModuleList(SingleBlock(width) for _ in range(config.num_single_blocks))
        self.final_layer = LastLayer(config.hidden_size, config.in_channels * config.patch_size**2)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "FashnVtonTransformer":
        """As diffusers' models are built. Raises KeyError, ValueError."""
        return cls(FashnVtonConfig.of(config))

    def forward(
        self,
        person: torch.Tensor,
        garment: torch.Tensor,
        time: torch.Tensor,
        category: torch.Tensor,
        rotation: Rotation,
    ) -> torch.Tensor:
        """`person` [B, 2 C + 1, H, W], `garment` [B, C + 1, H, W]; `rotation` of one grid of patches."""
        vector = self.t_embedder(time) + self.y_embedder(category)
        shown, worn = self.x_embedder(person), self.garment_embedder(garment)
        for block in self.x_patch_mixer:
            shown = block(shown, vector, rotation)
        both = joined(rotation, rotation)
        for block in self.double_blocks:
            shown, worn = block(shown, worn, vector, both)
        tokens = torch.cat((worn, shown), dim=1)
        for block in self.single_blocks:
            tokens = block(tokens, vector, both)
        return self._pixels(self.final_layer(tokens[:, worn.shape[1] :], vector))

    def _pixels(self, patches: torch.Tensor) -> torch.Tensor:
        """[B, N, C * P * P] -> [B, C, H, W]."""
        (rows, columns), size = self.config.grid, self.config.patch_size
        split = patches.reshape(-1, rows, columns, self.config.in_channels, size, size).permute(0, 3, 1, 4, 2, 5)
        return split.reshape(-1, self.config.in_channels, rows * size, columns * size)


class TimeEmbedder(nn.Module):
    """Time [B] -> [B, hidden]."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.mlp = nn.ModuleDict(
            {
                "in_layer": nn.Linear(_FREQUENCIES, hidden),
                "out_layer": nn.Linear(hidden, hidden),
            }
        )

    def forward(self, time: torch.Tensor) -> torch.Tensor:
        """See the class."""
        waves = get_timestep_embedding(time * _THOUSAND, _FREQUENCIES, flip_sin_to_cos=True, downscale_freq_shift=0)
        embedded: torch.Tensor = self.mlp["out_layer"](nn.functional.silu(self.mlp["in_layer"](waves)))
        return embedded


class PatchEmbedder(nn.Module):
    """Pixels [B, channels, H, W] -> tokens [B, N, hidden], row by row."""

    def __init__(self, channels: int, config: FashnVtonConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, config.hidden_size, config.patch_size, config.patch_size)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """See the class."""
        tokens: torch.Tensor = self.proj(pixels).flatten(2).transpose(1, 2)
        return tokens


def grid_rotation(config: FashnVtonConfig) -> Rotation:
    """Of every patch: the first axis stands still, the others turn with row and column. [1, N, D / 2], float32."""
    rows, columns = (torch.arange(length, dtype=torch.float64) for length in config.grid)
    positions = torch.stack(
        (torch.zeros(config.grid, dtype=torch.float64), *torch.meshgrid(rows, columns, indexing="ij"))
    )
    angles = torch.cat(
        [
            position.flatten()[:, None] / config.rope_theta ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
            for position, width in zip(positions, config.axes_dims_rope, strict=True)
        ],
        dim=-1,
    )
    return Rotation(angles.cos().float()[None], angles.sin().float()[None])
