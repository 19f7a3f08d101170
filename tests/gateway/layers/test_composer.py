"""How much a composition may take."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.domain.composing import ComposeCommand, ComposedLayer
from gateway.domain.edits import PictureFile
from gateway.domain.errors import InvalidRequest, Overloaded
from gateway.domain.layers import Sheet
from gateway.domain.pictures import PictureFormat, PictureSize
from gateway.pipelines.incoming import PictureReader
from gateway.pipelines.layers.composer import Composer
from tests.gateway.pictures import file_of, noise_picture

SIDE = 30


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[PictureReader]:
    reader = PictureReader(max_pixels=SIDE * SIDE)
    yield reader
    reader.close()


@pytest_asyncio.fixture
async def composer(reader: PictureReader) -> AsyncIterator[Composer]:
    composer = Composer(reader)
    yield composer
    composer.close()


def command(layers: int, size: PictureSize | None = None) -> ComposeCommand:
    files = [PictureFile(f"layers.{index}.image", file_of(noise_picture(SIDE, SIDE))) for index in range(layers)]
    return ComposeCommand(
        layers=tuple(ComposedLayer(file, "", 0, 0, 1.0, True, "normal") for file in files),
        size=size,
        background=None,
        format=PictureFormat.PNG,
        output=None,
    )


async def test_all_layers_together_have_a_limit(composer: Composer) -> None:
    assert (await composer.run(command(4))).size == PictureSize(SIDE, SIDE)
    with pytest.raises(InvalidRequest, match="at most 3600 pixels") as caught:
        await composer.run(command(5))
    assert (caught.value.param, caught.value.code) == ("layers.4.image", "image_too_large")


async def test_the_picture_has_the_limit_of_pictures(composer: Composer) -> None:
    with pytest.raises(InvalidRequest, match="31x30 is too large") as caught:
        await composer.run(command(1, PictureSize(31, 30)))
    assert caught.value.param == "size"


async def test_few_run_some_wait_and_the_rest_are_told_to_come_back(
    reader: PictureReader, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun, most = asyncio.Event(), asyncio.Event(), []
    read, running = reader.read_sheet, 0

    async def slow(picture: PictureFile) -> Sheet:
        nonlocal running
        running += 1
        most.append(running)
        begun.set()
        await gate.wait()
        sheet = await read(picture)
        running -= 1
        return sheet

    monkeypatch.setattr(reader, "read_sheet", slow)
    waiting = [asyncio.create_task(composer.run(command(1))) for _ in range(34)]
    await begun.wait()
    with pytest.raises(Overloaded):
        await composer.run(command(1))
    # One that gives up leaves its place.
    waiting.pop().cancel()
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(composer.run(command(1))))
    gate.set()
    assert len(await asyncio.gather(*waiting)) == 34
    assert max(most) == 2
