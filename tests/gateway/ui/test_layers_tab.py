"""The layers of a picture on the page, in a real browser: taken apart, changed, stored, taken apart again."""

import io
import json
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.async_api import Browser, FilePayload, Page, expect
from psd_tools import PSDImage

from gateway.domain.layers import Sheet
from gateway.domain.pictures import PictureSize
from gateway.pipelines.layers.blend import BlendMode
from gateway.pipelines.layers.compose import compose
from gateway.pipelines.layers.placed import Placed
from tests.gateway.layers.separator import picture, separator
from tests.gateway.server import RunningGateway
from tests.support.browser import Visit, open_chromium, visiting

NAMES = ["hat", "dress", "person", "ground"]
"""Of the layers, top to bottom."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with separator(tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_chromium() as browser:
        yield browser


@pytest.fixture()
async def visit(browser: Browser, server: RunningGateway) -> AsyncIterator[Visit]:
    async with visiting(browser, f"{server.url}/ui") as visit:
        await visit.page.get_by_role("tab", name="Layers").click()
        await expect(visit.page.locator("#layers-start")).to_be_visible()
        yield visit
    assert visit.hosts == {"127.0.0.1"}
    assert visit.complaints == []


async def taken_apart(page: Page) -> None:
    file = FilePayload(name="mine.png", mimeType="image/png", buffer=picture())
    await page.set_input_files("#layers-picture input[type=file]", file)
    await expect(page.locator("#layers-picture img")).to_be_visible()
    await page.click("#layers-start")
    await expect(page.locator("#layers-status [data-phase=done]")).to_be_visible()
    await expect(page.locator("#layers-stack li")).to_have_count(4)


async def rows(page: Page) -> list[str]:
    return await page.locator("#layers-stack strong").all_inner_texts()


async def stored(page: Page, kind: str, folder: Path) -> bytes:
    async with page.expect_download() as coming:
        await page.click(f"#layers-{kind}")
    download = await coming.value
    assert download.suggested_filename == f"layers.{kind}"
    await download.save_as(folder / kind)
    return (folder / kind).read_bytes()


async def source_of(page: Page) -> str:
    source = await page.locator("#layers-composite img").get_attribute("src")
    assert source is not None
    return source


async def shown(page: Page, *, other_than: str) -> Sheet:
    """What the layers look like together, once it has changed."""
    image = page.locator("#layers-composite img")
    await expect(image).not_to_have_attribute("src", other_than)
    answer = await page.request.get(await source_of(page))
    return np.array(Image.open(io.BytesIO(await answer.body())).convert("RGBA"))


async def test_layers_are_changed_and_stored(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    await taken_apart(page)
    assert await rows(page) == NAMES
    await expect(page.locator("#layers-facts dl")).to_have_attribute("data-psnr", "exact")
    before = await source_of(page)
    whole = await page.request.get(before)
    source = np.array(Image.open(io.BytesIO(picture())).convert("RGBA"))
    assert np.array_equal(np.array(Image.open(io.BytesIO(await whole.body())).convert("RGBA")), source)

    archive = zipfile.ZipFile(io.BytesIO(await stored(page, "zip", tmp_path)))
    files = [each["file"] for each in json.loads(archive.read("layers.json"))["layers"]]
    ground, person, dress, _ = (np.array(Image.open(archive.open(file)).convert("RGBA")) for file in files)

    await page.get_by_label("Show hat").uncheck()
    without = await shown(page, other_than=before)
    size = PictureSize(96, 64)
    assert np.array_equal(without, compose([Placed("", each) for each in (ground, person, dress)], size))

    before = await source_of(page)
    await page.get_by_label("Opacity of dress").fill("40")
    await shown(page, other_than=before)
    before = await source_of(page)
    await page.get_by_label("Blending of dress").select_option("multiply")
    await shown(page, other_than=before)
    before = await source_of(page)
    await page.get_by_label("Move dress down").click()
    assert await rows(page) == ["hat", "person", "dress", "ground"]
    edited = await shown(page, other_than=before)
    stack = [
        Placed("", ground),
        Placed("", dress, opacity=0.4, blend=BlendMode.MULTIPLY),
        Placed("", person),
    ]
    assert np.array_equal(edited, compose(stack, size))

    psd = PSDImage.open(io.BytesIO(await stored(page, "psd", tmp_path)))
    assert [(layer.name, layer.visible, layer.opacity) for layer in psd] == [
        ("ground", True, 255),
        ("dress", True, 102),
        ("person", True, 255),
        ("hat", False, 255),
    ]
    assert zipfile.ZipFile(io.BytesIO(await stored(page, "ora", tmp_path))).namelist()[0] == "mimetype"

    # Slides cannot blend, and the API says so.
    await page.click("#layers-pptx")
    await expect(page.locator("#layers-problem [role=alert] p")).to_contain_text("no blend mode multiply")
    before = await source_of(page)
    await page.get_by_label("Blending of dress").select_option("normal")
    await shown(page, other_than=before)
    await expect(page.locator("#layers-problem [role=alert]")).to_have_count(0)
    assert zipfile.is_zipfile(io.BytesIO(await stored(page, "pptx", tmp_path)))


async def test_a_layer_is_taken_apart_again(visit: Visit) -> None:
    page = visit.page
    await taken_apart(page)
    before = await source_of(page)
    await page.get_by_label("Opacity of person").fill("50")
    await shown(page, other_than=before)
    await page.get_by_label("Take person apart").click()
    await expect(page.locator("#layers-stack li")).not_to_have_count(4)
    await expect(page.locator("#layers-status [data-phase=done]")).to_be_visible()
    names = await rows(page)
    assert names[:2] == ["hat", "dress"] and names[-1] == "ground"
    parts = names[2:-1]
    assert parts and all(name.startswith("person/") for name in parts)
    assert await page.get_by_label(f"Opacity of {parts[0]}").input_value() == "50"


async def test_what_a_model_offers_and_what_the_api_refuses(visit: Visit) -> None:
    page = visit.page
    await page.get_by_label("Drawn at").click()
    await expect(page.get_by_role("option")).to_contain_text(["64 x 64", "128 x 128"])
    await page.keyboard.press("Escape")
    await page.get_by_label("Layers", exact=True).click()
    await expect(page.get_by_role("option")).to_contain_text(["auto", *map(str, range(2, 11))])
    await page.keyboard.press("Escape")
    await page.click("#layers-start")
    await expect(page.locator("#layers-status [role=alert] .field")).to_have_text("image")
    await expect(page.locator("#layers-stack li")).to_have_count(0)
