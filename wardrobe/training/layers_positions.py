"""Where the tokens of a layered picture stand, as `families.qwen_image_layered` says it at serving."""

from dataclasses import dataclass

import numpy as np
import torch

from families.qwen_image import diagonal, grid, turned

_HALF_HEAD = 16


@dataclass(frozen=True, slots=True)
class Rotations:
    """Cosines and sines of frames, picture and text: float32 [B, tokens, 16]."""

    image_cos: torch.Tensor
    image_sin: torch.Tensor
    text_cos: torch.Tensor
    text_sin: torch.Tensor

    def to(self, device: torch.device) -> "Rotations":
        """The same on another device."""
        return Rotations(*(part.to(device) for part in (self.image_cos, self.image_sin, self.text_cos, self.text_sin)))


def rotations(rows: int, columns: int, frames: int, text_length: int, batch: int) -> Rotations:
    """Of so many frames and the picture, which is number -1, of `rows` times `columns` cells, and of a text."""
    cells = np.concatenate([grid(number, rows, columns).reshape(-1, 3) for number in (*range(frames), -1)])
    first = max(rows // 2, columns // 2, frames)
    both = (*turned("image", cells, _HALF_HEAD), *turned("text", diagonal(first, text_length), _HALF_HEAD))
    return Rotations(*(torch.from_numpy(part.array).expand(batch, -1, -1) for part in both))
