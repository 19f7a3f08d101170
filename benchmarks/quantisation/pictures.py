"""What every precision drew of the held-out captions, kept on disk by the build's key."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.generate import Asking, generate_all
from benchmarks.quantisation.builds import Built
from benchmarks.quantisation.scores import Pictures
from benchmarks.quantisation.simulated import draw_simulated
from families.catalog import ModelSource

Tell = Callable[[str], None]
_TOLD_EVERY = 50


class PictureStore:
    """One file a build and number of captions; pictures come in the captions' order, and its number is the seed."""

    def __init__(self, folder: Path, captions: Sequence[str]) -> None:
        self._folder, self._captions = folder, tuple(captions)

    def load(self, built: Built) -> Pictures | None:
        """As many as were drawn with these very files, of the first captions; None where none were."""
        stem = self._stem(built)
        counts = [int(path.stem.removeprefix(stem)) for path in self._folder.glob(f"{stem}*.npz")]
        if not counts:
            return None
        with np.load(self._folder / f"{stem}{max(counts)}.npz", allow_pickle=False) as stored:
            pictures: Pictures = stored["pictures"][: len(self._captions)]
        return pictures

    def lacks(self, built: Built, count: int) -> bool:
        """Whether fewer than the first `count` captions were drawn."""
        pictures = self.load(built)
        return pictures is None or len(pictures) < min(count, len(self._captions))

    async def draw(self, built: Built, url: str, tell: Tell) -> None:
        """Ask the stack at `url` for all captions. Raises what `generate_all` does."""
        counter = _Counter(f"drawing with {built.recipe.name}", len(self._captions), tell)
        drawn = await generate_all(url, self._captions, Asking(built.recipe.name), counter.add)
        self._save(built, np.stack(drawn))

    def simulate(self, built: Built, source: ModelSource, count: int, tell: Tell) -> None:
        """Draw the first `count` captions without a server."""
        captions = self._captions[:count]
        counter = _Counter(f"simulating {built.recipe.name}", len(captions), tell)
        self._save(built, draw_simulated(built, source, captions, counter.add))

    def _save(self, built: Built, pictures: Pictures) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._stem(built)}{len(pictures)}.npz"
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, pictures=pictures)
        part.replace(path)

    def _stem(self, built: Built) -> str:
        return f"{built.recipe.name}-{built.key}-"


class _Counter:
    def __init__(self, what: str, total: int, tell: Tell) -> None:
        self._what, self._total, self._tell, self._done = what, total, tell, 0

    def add(self, more: int = 1) -> None:
        self._done += more
        if self._done == self._total or self._done % _TOLD_EVERY < more:
            self._tell(f"{self._what}: {self._done} of {self._total}")
