"""A listener's guard for pictures that are begun again: whatever was told once is not told a second time."""

from gateway.domain.pictures import GenerateListener, PartialPicture


class FirstTold(GenerateListener):
    """Hands on each kind of news the first time that it comes."""

    def __init__(self, listener: GenerateListener) -> None:
        self._listener = listener
        self._started = False
        self._share = 0.0
        self._shown: set[tuple[int, int]] = set()

    def started(self) -> None:
        """See GenerateListener."""
        if not self._started:
            self._started = True
            self._listener.started()

    def progress(self, share: float) -> None:
        """See GenerateListener. Shares that fall are not told."""
        if share > self._share:
            self._share = share
            self._listener.progress(share)

    def partial(self, picture: PartialPicture) -> None:
        """See GenerateListener."""
        if (picture.index, picture.order) not in self._shown:
            self._shown.add((picture.index, picture.order))
            self._listener.partial(picture)
