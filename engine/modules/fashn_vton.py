"""FASHN VTON's denoiser; there is nothing else to the model."""

import torch
from torch import nn

from engine.modules.fashn_vton_transformer import FashnVtonTransformer, grid_rotation
from engine.modules.rotary import Rotation

_TIMESTEPS = 1000


class Denoiser(nn.Module):
    """sample float32 [B, 3, H, W], timestep float32 [B] from 1000 (noise) to 0, agnostic [B, 3, H, W],
    person_pose [B, 1, H, W], garment [B, 3, H, W], garment_pose [B, 1, H, W], category int64 [B] -> prediction as
    sample, from the picture towards noise, as flow models' samplers here take it.
    """

    cos: torch.Tensor
    sin: torch.Tensor

    def __init__(self, transformer: FashnVtonTransformer) -> None:
        super().__init__()
        self.transformer = transformer
        rotation = grid_rotation(transformer.config)
        self.register_buffer("cos", rotation.cos, persistent=False)
        self.register_buffer("sin", rotation.sin, persistent=False)

    def forward(  # noqa: PLR0917 - one parameter an input
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        agnostic: torch.Tensor,
        person_pose: torch.Tensor,
        garment: torch.Tensor,
        garment_pose: torch.Tensor,
        category: torch.Tensor,
    ) -> torch.Tensor:
        """See the class."""
        velocity: torch.Tensor = self.transformer(
            torch.cat((sample, agnostic, person_pose), dim=1),
            torch.cat((garment, garment_pose), dim=1),
            1 - timestep / _TIMESTEPS,
            category,
            Rotation(self.cos, self.sin),
        )
        return -velocity
