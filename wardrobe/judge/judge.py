"""The classifier and how to use it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from wardrobe.judge.reading import Reading, from_classes, head_sizes
from wardrobe.world.canvas import SIZE, Pixels

WEIGHTS = Path(__file__).parents[1] / "weights" / "judge"
WEIGHTS_FILE = "judge.safetensors"
CARD_FILE = "accuracy.json"
READ_BATCH = 32


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class JudgeNet(nn.Module):
    """float [B, 3, 128, 128] in -1..1 -> one row of class scores per head, in the order of `HEADS`.

    The last map is kept as a 4x4 grid rather than averaged away: which garment is the upper one is a place.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _block(3, 24, 2), _block(24, 48, 2), _block(48, 48, 1), _block(48, 96, 2), _block(96, 96, 1),
            _block(96, 112, 2), _block(112, 112, 1), nn.AvgPool2d(2), nn.Flatten(),
        )  # fmt: skip
        self.trunk = nn.Sequential(nn.Dropout(0.1), nn.Linear(112 * 16, 128), nn.ReLU(inplace=True))
        self.heads = nn.ModuleList([nn.Linear(128, size) for size in head_sizes().values()])

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Class scores, float [B, classes] per head."""
        shared = self.trunk(self.features(images))
        return [head(shared) for head in self.heads]


class Judge:
    """Reads attributes from pictures."""

    def __init__(self, net: JudgeNet) -> None:
        self._net = net.eval()

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> "Judge":
        """From a folder written by `save`. Raises FileNotFoundError where there is none."""
        net = JudgeNet()
        tensors = load_file(str(path / WEIGHTS_FILE))
        net.load_state_dict(
            {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
        )
        return cls(net)

    def save(self, path: Path) -> None:
        """Weights as fp16 safetensors."""
        path.mkdir(parents=True, exist_ok=True)
        state = self._net.state_dict()
        halved = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
        save_file({name: tensor.contiguous().cpu() for name, tensor in halved.items()}, str(path / WEIGHTS_FILE))
        (path / WEIGHTS_FILE).chmod(0o644)

    @torch.no_grad()
    def read(self, images: Pixels) -> list[Reading]:
        """One reading per picture of `images`, uint8 [B, 128, 128, 3]."""
        if images.ndim != 4 or images.shape[1:] != (SIZE, SIZE, 3):
            raise ValueError(f"expected pictures [B, {SIZE}, {SIZE}, 3], got {list(images.shape)}")
        readings: list[Reading] = []
        for start in range(0, len(images), READ_BATCH):
            batch = torch.from_numpy(images[start : start + READ_BATCH].copy())
            scores = self._net(batch.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0))
            classes = torch.stack([score.argmax(1) for score in scores], dim=1)
            readings += [from_classes(row) for row in classes.tolist()]
        return readings


def accuracies(readings: Sequence[Reading], truth: Sequence[Reading]) -> dict[str, float]:
    """Share of right answers, 0..1, per attribute."""
    return {
        name: sum(getattr(r, name) == getattr(t, name) for r, t in zip(readings, truth, strict=True)) / len(truth)
        for name in Reading.__dataclass_fields__
    }
