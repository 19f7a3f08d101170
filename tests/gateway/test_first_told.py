"""Pictures that are begun again tell nothing twice."""

from dataclasses import dataclass, field

from gateway.domain.pictures import GenerateListener, PartialPicture, PictureSize
from gateway.pipelines.first_told import FirstTold

SIZE = PictureSize(8, 8)


@dataclass
class Listener(GenerateListener):
    heard: list[str | PartialPicture] = field(default_factory=list)

    def started(self) -> None:
        self.heard.append("started")

    def partial(self, picture: PartialPicture) -> None:
        self.heard.append(picture)


def test_each_kind_of_news_comes_once() -> None:
    listener = Listener()
    told = FirstTold(listener)
    first = PartialPicture(0, 0, b"by the old release", SIZE)
    for news in (
        first,
        PartialPicture(0, 0, b"by the new one", SIZE),
        PartialPicture(1, 0, b"", SIZE),
        PartialPicture(0, 1, b"", SIZE),
    ):
        told.started()
        told.partial(news)
    assert listener.heard == ["started", first, PartialPicture(1, 0, b"", SIZE), PartialPicture(0, 1, b"", SIZE)]
