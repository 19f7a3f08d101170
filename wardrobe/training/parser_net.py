"""The parser: a small U-shaped network that works on two by two pixels at a time."""

import torch
from torch import nn
from torch.nn import functional

from wardrobe.world.keypoints import KEYPOINTS
from wardrobe.world.render import PARTS

MULTIPLE = 16
"""Sides of its pictures are multiples of this."""
HEATMAP_STRIDE = 4
"""Pixels along each side of a heatmap's cell."""
WIDTHS = (32, 48, 80, 112)
"""Channels at a half, a quarter, an eighth and a sixteenth of the picture's sides."""


def _block(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Up(nn.Module):
    """Twice as fine, beside what was seen at that size on the way down."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.block = _block(coarse + fine, fine)

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        """Both [B, C, h, w]; the answer has the size and the channels of `fine`."""
        finer = functional.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        mixed: torch.Tensor = self.block(torch.cat([finer, fine], dim=1))
        return mixed


class ParserNet(nn.Module):
    """float [B, 3, H, W] in -1..1, sides multiples of `MULTIPLE` -> scores [B, parts, H, W] and heatmaps
    [B, keypoints, H / 4, W / 4], both before softmax and sigmoid.
    """

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = WIDTHS
        self.enter = nn.Sequential(nn.PixelUnshuffle(2), _block(12, half), _block(half, half))
        self.down_quarter = nn.Sequential(_block(half, quarter, stride=2), _block(quarter, quarter))
        self.down_eighth = nn.Sequential(_block(quarter, eighth, stride=2), _block(eighth, eighth))
        # dilated, so that a figure of 256 pixels is still seen as a whole
        self.context = nn.Sequential(
            _block(eighth, sixteenth, stride=2),
            _block(sixteenth, sixteenth, dilation=2),
            _block(sixteenth, sixteenth, dilation=4),
        )
        self.up_eighth = _Up(sixteenth, eighth)
        self.up_quarter = _Up(eighth, quarter)
        self.up_half = _Up(quarter, half)
        self.scores = nn.Sequential(nn.Conv2d(half, 4 * len(PARTS), 3, padding=1), nn.PixelShuffle(2))
        self.heatmaps = nn.Sequential(_block(quarter, quarter), nn.Conv2d(quarter, len(KEYPOINTS), 1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See the class."""
        half = self.enter(images)
        quarter = self.down_quarter(half)
        eighth = self.down_eighth(quarter)
        eighth = self.up_eighth(self.context(eighth), eighth)
        quarter = self.up_quarter(eighth, quarter)
        return self.scores(self.up_half(quarter, half)), self.heatmaps(quarter)
