"""Train the layered model's RGBA autoencoder on sheets until a time of day: `python -m wardrobe.training.layers_vae`.

Loss: that of the wardrobe's autoencoder for colours weighed by the true alpha, since what cannot be seen does not
matter, and for alpha itself.
"""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wardrobe.training import corpus, layers_corpus, parallel
from wardrobe.training.checkpoints import Parts, Resumable, load_checkpoint
from wardrobe.training.clock import falling_rate, time_left
from wardrobe.training.layers_models import FlatVae, build_vae
from wardrobe.training.loop import run
from wardrobe.training.runtime import pick_device, runtime_folder, step_rng
from wardrobe.training.vae import reconstruction_loss
from wardrobe.world.canvas import SIZE, Pixels
from wardrobe.world.sheets import FINEST, chequered, flatten

log = logging.getLogger(__name__)

CHECKPOINT = "layers_vae.pt"
_PICTURES, _WHOLE, _SINGLE = 0.4, 0.8, 0.85


@dataclass(frozen=True, slots=True)
class LayersVaeTraining:
    """The plan of a run."""

    batch: int = 16
    crop: int = 64
    full_size_minutes: float = 3.0  # the last ones see whole sheets, as serving does
    learning_rate: float = 1e-3
    warmup: int = 200
    kl_weight: float = 2e-6
    alpha_weight: float = 1.0
    seed: int = 41


def to_tensor(sheets: Pixels) -> torch.Tensor:
    """uint8 [B, H, W, 4] -> float32 [B, 4, H, W] in -1..1."""
    return torch.from_numpy(sheets).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def to_sheets(images: torch.Tensor) -> Pixels:
    """float [B, 4, H, W] in -1..1 -> uint8 [B, H, W, 4]."""
    scaled = images.detach().float().add(1).mul(127.5).round().clamp(0, 255).byte()
    sheets: Pixels = scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return sheets


def sample_crops(source: Pixels, count: int, crop: int, rng: np.random.Generator) -> Pixels:
    """Crops uint8 [count, crop, crop, 4] of neighbouring sheets joined to one; few of them empty.

    Many are of whole pictures: they have the most detail, and a model that takes them apart must see it.
    """
    cuts = np.empty((count, crop, crop, 4), np.uint8)
    for row in range(count):
        scene = source[int(rng.integers(len(source)))]
        first = 0 if rng.random() < _PICTURES else int(rng.integers(len(FINEST)))
        kind = rng.random()
        end = len(FINEST) if first == 0 and kind < _WHOLE else first + 1
        if kind > _SINGLE:
            end = int(rng.integers(first, len(FINEST))) + 1
        for _ in range(4):
            y, x = (int(v) for v in rng.integers(0, SIZE - crop + 1, 2))
            piece = scene[first:end, y : y + crop, x : x + crop]
            if piece[..., 3].any():
                break
        cut = flatten(np.asarray(piece))
        cuts[row] = cut[:, ::-1] if rng.random() < 0.5 else cut
    return cuts


def sheet_loss(output: torch.Tensor, target: torch.Tensor, alpha_weight: float) -> torch.Tensor:
    """Of RGBA [B, 4, H, W] in -1..1: colours where they can be seen, and alpha."""
    cover = (target[:, 3:] + 1) / 2
    shown = cover + 0.02
    colours = reconstruction_loss(output[:, :3] * shown, target[:, :3] * shown)
    alpha, wanted = output[:, 3:].expand(-1, 3, -1, -1), target[:, 3:].expand(-1, 3, -1, -1)
    return colours + alpha_weight * reconstruction_loss(alpha, wanted)


class LayersVaeTrainer(Resumable):
    """One model, one optimizer, one step at a time."""

    def __init__(self, plan: LayersVaeTraining, source: Pixels) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.device = pick_device()
        self.vae = FlatVae(build_vae()).to(self.device)
        self.optimizer = torch.optim.AdamW(
            self.vae.parameters(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4, fused=True
        )
        self._source = source

    def train_step(self, minutes_left: float, share_left: float) -> float:
        """One update; returns the loss."""
        plan = self.plan
        rng, noise = step_rng(plan.seed, self.step)
        whole = minutes_left < plan.full_size_minutes
        count = max(1, (plan.batch // 4 if whole else plan.batch) // parallel.world_size())
        sheets = sample_crops(self._source, count, SIZE if whole else plan.crop, rng)
        images = to_tensor(sheets).to(self.device, memory_format=torch.channels_last)
        for group in self.optimizer.param_groups:
            group["lr"] = falling_rate(self.step, share_left, plan.learning_rate, plan.warmup)
        with torch.autocast(self.device.type, torch.bfloat16):
            mean, log_variance = self.vae.encode(images)
            draw = torch.randn(mean.shape, generator=noise).to(self.device)
            output = self.vae.decode(mean + (0.5 * log_variance).exp() * draw)
        mean, log_variance = mean.float(), log_variance.float()
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum((1, 2, 3)).mean()
        loss = sheet_loss(output.float(), images, plan.alpha_weight)
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss + plan.kl_weight * kl)
        parallel.average_gradients(self.vae.parameters())
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach())

    def parts(self) -> Parts:
        """What a run needs to go on."""
        return Parts({"vae": self.vae}, {"vae": self.optimizer})


@torch.no_grad()
def save_preview(vae: FlatVae, sheets: Pixels, path: Path) -> tuple[float, float]:
    """Sheets above their reconstructions; returns the mean error of alpha and of visible colours in 8-bit steps."""
    device = next(vae.parameters()).device
    after = to_sheets(vae.decode(vae.encode(to_tensor(sheets).to(device))[0]))
    shown = [np.hstack(list(chequered(kind))) for kind in (sheets, after)]
    Image.fromarray(np.vstack(shown)).save(path)
    error = np.abs(sheets.astype(np.float32) - after)
    cover = sheets[..., 3:] / 255
    return float(error[..., 3].mean()), float((error[..., :3] * cover).sum() / (3 * cover.sum()))


def trained_vae(runtime: Path) -> FlatVae:
    """The autoencoder of the training. Raises FileNotFoundError before its first checkpoint."""
    checkpoint = load_checkpoint(runtime / CHECKPOINT)
    if checkpoint is None:
        raise FileNotFoundError(f"{runtime / CHECKPOINT}: run `python -m wardrobe.training.layers_vae` first")
    vae = FlatVae(build_vae())
    vae.load_state_dict(checkpoint.modules["vae"])
    return vae.eval().requires_grad_(requires_grad=False)


def main() -> None:
    """Train to the end, with checkpoints and previews on the way."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, default=None)
    parser.add_argument("--until", required=True, help="HH:MM of this machine's clock")
    options = parser.parse_args()
    parallel.start()
    folder = runtime_folder(options.runtime)
    source = corpus.load(folder, layers_corpus.FILE)
    trainer = LayersVaeTrainer(LayersVaeTraining(), source)
    trainer.restore(folder / CHECKPOINT)
    preview = np.concatenate([source[0], source[1], *(flatten(np.asarray(source[row]))[None] for row in (2, 3))])

    def report() -> None:
        alpha, colours = save_preview(trainer.vae, preview, folder / "layers_vae.png")
        log.info("error of alpha %.2f, of visible colours %.2f", alpha, colours)

    losses = (trainer.train_step(left.minutes, left.share) for left in time_left(options.until))
    run(trainer, losses, folder / CHECKPOINT, report)


if __name__ == "__main__":
    main()
