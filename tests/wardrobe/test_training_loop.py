"""The loop that all trainers run in, their checkpoints and the time they have."""

from pathlib import Path

import pytest
import torch
from torch import nn

from wardrobe.training import clock, loop
from wardrobe.training.checkpoints import Parts, Resumable, load_checkpoint
from wardrobe.training.loop import run
from wardrobe.training.runtime import follow


class Trainer(Resumable):
    """One number that grows."""

    def __init__(self) -> None:
        self.net = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.net.weight)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=1.0, momentum=0.5)
        self.doubled = 0.0

    def parts(self) -> Parts:
        return Parts({"net": self.net}, {"sgd": self.optimizer})

    def restored(self) -> None:
        self.doubled = 2 * self.net.weight.item()

    def train_step(self) -> float:
        self.net.weight.grad = -torch.ones(1, 1)
        self.optimizer.step()
        self.step += 1
        return self.net.weight.item()


def test_a_run_saves_and_shows_itself_at_the_end_and_goes_on_from_there(tmp_path: Path) -> None:
    first, second, unbroken = Trainer(), Trainer(), Trainer()
    shown: list[int] = []
    assert not second.restore(tmp_path / "run.pt")
    assert run(first, (first.train_step() for _ in range(3)), tmp_path / "run.pt", lambda: shown.append(first.step))
    assert shown == [3]
    assert second.restore(tmp_path / "run.pt")
    assert (second.step, second.doubled) == (3, 2 * first.net.weight.item())
    assert [unbroken.train_step() for _ in range(5)][3:] == [second.train_step() for _ in range(2)]
    assert not list(tmp_path.glob("*.partial"))


def test_what_is_written_on_the_way_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "PREVIEW_SECONDS", 0.0)
    trainer, seen = Trainer(), list[int]()

    def preview() -> None:
        checkpoint = load_checkpoint(tmp_path / "run.pt")
        assert checkpoint is not None
        seen.append(checkpoint.step)

    run(trainer, (trainer.train_step() for _ in range(3)), tmp_path / "run.pt", preview)
    assert seen == [1, 2, 3, 3]


def test_what_goes_wrong_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    trainer = Trainer()
    run(trainer, [trainer.train_step()], tmp_path / "run.pt")
    before = (tmp_path / "run.pt").read_bytes()
    with pytest.raises(ZeroDivisionError):
        run(trainer, (1 / number for number in (1, 0)), tmp_path / "run.pt")
    assert (tmp_path / "run.pt").read_bytes() == before


def test_time_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 100.0, 130.0, 148.0, 161.0])
    monkeypatch.setattr(clock, "minutes_until", lambda until, now: 1.0)
    monkeypatch.setattr(clock.time, "monotonic", lambda: next(now))
    lefts = list(clock.time_left("12:30"))
    assert [left.minutes for left in lefts] == pytest.approx([1.0, 0.5, 0.2])
    assert [left.share for left in lefts] == pytest.approx([1.0, 0.5, 0.2])


def test_an_average_forgets_its_first_weights_soon() -> None:
    average, trained = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.zeros_(average.weight)
    nn.init.ones_(trained.weight)
    follow(average, trained, step=0, decay=0.99)
    assert average.weight.item() == pytest.approx(0.9)
    follow(average, trained, step=10_000, decay=0.99)
    assert average.weight.item() == pytest.approx(0.901)
