"""Listeners' parts of a whole that is done in several runs."""

from gateway.domain.pictures import GenerateListener, PartialPicture
from gateway.pipelines.first_told import FirstTold


class Shares:
    """Hands out a listener for each of so many runs, one after the other; None where nobody listens."""

    def __init__(self, listener: GenerateListener | None, runs: int) -> None:
        self._listener = None if listener is None else FirstTold(listener)
        self._runs = runs
        self._begun = 0

    def next(self, *, shown: bool = False) -> GenerateListener | None:
        """Of the next run. `shown`: its pictures are those of the whole."""
        place = self._begun
        self._begun += 1
        return None if self._listener is None else _Share(self._listener, place, self._runs, shown=shown)


class _Share(GenerateListener):
    """Of run `place` of `runs`."""

    def __init__(self, listener: GenerateListener, place: int, runs: int, *, shown: bool) -> None:
        self._listener = listener
        self._place = place
        self._runs = runs
        self._shown = shown

    def started(self) -> None:
        self._listener.started()

    def progress(self, share: float) -> None:
        self._listener.progress((self._place + share) / self._runs)

    def partial(self, picture: PartialPicture) -> None:
        if self._shown:
            self._listener.partial(picture)
