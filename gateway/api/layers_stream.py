"""A picture taken apart as server-sent events."""

import base64
import time
from collections.abc import Awaitable, Callable

from gateway.api.event_stream import EventStream, News
from gateway.api.layers_response import (
    LayersCompletedEvent,
    LayersPartialImageEvent,
    LayersProgressEvent,
    LayersResponse,
)
from gateway.domain.pictures import GenerateListener, PartialPicture, PictureFormat

_LEAST_PROGRESS = 0.01
"""Smaller moves are not told."""


class LayersStream(EventStream):
    """Ends with one `image_layers.completed`."""

    def __init__(self, run: Callable[[GenerateListener], Awaitable[LayersResponse]], output: PictureFormat) -> None:
        super().__init__()
        self._run = run
        self._output = output

    async def work(self, tell: Callable[[News], None]) -> News:
        """See EventStream."""
        answer = await self._run(_Told(tell, self._output))
        return (LayersCompletedEvent.model_validate(answer.model_dump()),)


class _Told(GenerateListener):
    def __init__(self, tell: Callable[[News], None], output: PictureFormat) -> None:
        self._tell = tell
        self._output = output
        self._share = 0.0

    def started(self) -> None:
        self._tell(())

    def progress(self, share: float) -> None:
        if share - self._share >= _LEAST_PROGRESS:
            self._share = share
            self._tell((LayersProgressEvent(progress=share),))

    def partial(self, picture: PartialPicture) -> None:
        event = LayersPartialImageEvent(
            b64_json=base64.b64encode(picture.data).decode(),
            layer_index=picture.index,
            partial_image_index=picture.order,
            created_at=int(time.time()),
            size=str(picture.size),
            output_format=self._output.value,
        )
        self._tell((event,))
