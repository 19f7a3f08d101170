"""The page `/ui` in a real browser, as somebody uses it who tries clothes on, or takes a picture apart."""

import io
import re
import zipfile
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.async_api import Browser, FilePayload, Locator, Page, expect

from tests.support.browser import Visit, open_chromium, visiting
from tests.support.stack import RunningStack
from wardrobe.world.canvas import Pixels
from wardrobe.world.pairs import tryon_pairs
from wardrobe.world.render import FLAT_LAY_BACKGROUND, flat_lay, render

# Told by the page itself: whoever looks now and then misses what is quick.
_WATCH = """() => {
    window.told = [];
    window.previews = new Set();
    new MutationObserver(() => {
        const status = document.querySelector("#try-on-status [data-phase]");
        if (status !== null) {
            const title = status.querySelector("[role=status]").textContent;
            const now = [status.dataset.phase, title, Number(status.dataset.percent)];
            if (JSON.stringify(now) !== JSON.stringify(window.told.at(-1))) window.told.push(now);
        }
        const previews = document.querySelectorAll("#try-on-preview img, #layers-preview img");
        for (const preview of previews) window.previews.add(preview.src);
    }).observe(document.body, {childList: true, subtree: true, attributes: true, characterData: true});
}"""


def png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PAIR = next(islice(tryon_pairs(3, held_out=True), 1))
PERSON, GARMENT = png(render(PAIR.before).image), png(flat_lay(PAIR.garment))
NOBODY = png(np.full_like(render(PAIR.before).image, FLAT_LAY_BACKGROUND))


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_chromium() as browser:
        yield browser


@pytest.fixture()
async def visit(browser: Browser, stack: RunningStack) -> AsyncIterator[Visit]:
    """Whatever is done on the page: it asks nobody else for anything, and its scripts have nothing to complain of."""
    async with visiting(browser, f"{stack.url}/ui") as visit:
        await expect(visit.page.locator("#try-on-start")).to_be_visible()
        await visit.page.evaluate(_WATCH)
        yield visit
    assert visit.hosts == {"127.0.0.1"}
    assert visit.complaints == []


async def upload(page: Page, person: bytes) -> None:
    for place, picture in (("#person", person), ("#garment", GARMENT)):
        file = FilePayload(name="mine.png", mimeType="image/png", buffer=picture)
        await page.set_input_files(f"{place} input[type=file]", file)
        await expect(page.locator(f"{place} img")).to_be_visible()


async def told(page: Page) -> list[tuple[str, str, int]]:
    """Phase, title and percent, in the order in which they were seen."""
    seen: list[list[Any]] = await page.evaluate("window.told")
    return [(phase, title, percent) for phase, title, percent in seen]


async def dressed(page: Page) -> None:
    """Press the button, and wait for the result."""
    await page.click("#try-on-start")
    await expect(page.locator("#try-on-status [data-phase=done]")).to_be_visible()
    await expect(page.locator("#compare img")).to_have_count(2)
    await expect(page.locator("#try-on-start")).to_be_visible()


async def clipped(after: Locator) -> float:
    """How much of the after picture the before one hides, in percent from the left."""
    clip: str = await after.evaluate("image => image.style.clipPath")
    found = re.fullmatch(r"inset\(0px 0px 0px ([\d.]+)%\)", clip)
    assert found, clip
    return float(found[1])


async def shown(pictures: Locator) -> None:
    """All of them were fetched and are pictures."""
    for picture in await pictures.all():
        await picture.scroll_into_view_if_needed()
        handle = await picture.element_handle()
        assert handle is not None
        await pictures.page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=handle)


async def test_premium_is_followed_to_its_scores(visit: Visit) -> None:
    page = visit.page
    await upload(page, PERSON)
    await page.get_by_label("Premium").check()
    await dressed(page)

    moments = await told(page)
    working = [moment for moment in moments if moment[0] == "working"]
    titles = list(dict.fromkeys(title for _, title, _ in working))
    # A busy browser paints some states of a page and leaves others out: not each stage, not each step is sure to show.
    assert len({"Drawing", "Judging the drawings", "Refining"} & set(titles)) >= 2, titles
    percents = [percent for _, _, percent in working]
    assert percents == sorted(percents) and len(set(percents)) >= 4, percents
    assert moments[-1] == ("done", "Done", 100)
    assert await page.evaluate("window.previews.size") > 0
    await expect(page.locator("#try-on-preview img")).to_have_count(0)

    # The parts of an answer come one after the other.
    await expect(page.locator("#scores tbody th")).to_have_count(5)
    header = await page.locator("#scores thead th").all_inner_texts()
    values = await page.locator("#scores tbody td").all_inner_texts()
    assert header[:2] == ["", "Overall"] and {"Colours", "Pattern", "Fit", "Face"} <= set(header)
    names = await page.locator("#scores tbody th").all_inner_texts()
    assert sum(name.startswith("Refined") for name in names) == 1, names
    assert len(values) == len(names) * (len(header) - 1)
    assert all(0 <= int(value) <= 100 for value in values)

    strip = page.locator("#intermediates")
    await expect(strip.locator(".caption-label").first).to_have_text("Body parts")
    captions = await strip.locator(".caption-label").all_inner_texts()
    assert captions[:2] == ["Body parts", "Pose"] and {"What changes", "What the model sees"} <= set(captions)
    await shown(strip.locator("img"))


async def test_the_slider_uncovers_the_same_picture_as_the_api_gives(
    visit: Visit, stack: RunningStack, tmp_path: Path
) -> None:
    page = visit.page
    await upload(page, PERSON)
    await page.get_by_label("Fast").check()
    await page.get_by_text("More settings").first.click()
    await page.locator("#try-on-seed textarea, #try-on-seed input").fill("5")
    await page.locator("#try-on-exact input").check()
    await dressed(page)
    await expect(page.locator("#scores")).to_have_text("")

    compare = page.locator("#compare")
    await shown(compare.locator("img"))
    after = compare.locator("img").nth(1)
    handle = compare.get_by_test_id("slider").locator(".icon-wrap")
    before, grip, frame = await compare.screenshot(), await handle.bounding_box(), await compare.bounding_box()
    assert grip is not None and frame is not None
    assert await clipped(after) == 50
    row = grip["y"] + grip["height"] / 2
    await page.mouse.move(grip["x"] + grip["width"] / 2, row)
    await page.mouse.down()
    await page.mouse.move(frame["x"] + frame["width"] / 4, row, steps=5)
    await page.mouse.up()
    assert 15 < await clipped(after) < 35
    assert await compare.screenshot() != before

    async with page.expect_download() as coming:
        await page.locator("#download").click()
    await (await coming.value).save_as(tmp_path / "mine.png")
    async with httpx.AsyncClient(base_url=stack.url, timeout=120) as http:
        answer = await http.post(
            "/v1/tryon-fast",
            data={"seed": "5", "deterministic": "true"},
            files={"model_image": PERSON, "garment_image": GARMENT},
        )
        link = answer.raise_for_status().json()["data"][0]["url"]
        assert (tmp_path / "mine.png").read_bytes() == (await http.get(link)).content


async def test_the_api_s_words_for_a_picture_of_nobody_are_shown(visit: Visit, stack: RunningStack) -> None:
    page = visit.page
    await upload(page, NOBODY)
    await page.click("#try-on-start")
    problem = page.locator("#try-on-status").get_by_role("alert")
    await expect(problem).to_be_visible()
    async with httpx.AsyncClient(base_url=stack.url, timeout=120) as http:
        refused = await http.post("/v1/tryon-fast", files={"model_image": NOBODY, "garment_image": GARMENT})
    error = refused.json()["error"]
    assert error["code"] == "PoseError"
    await expect(problem.locator("p")).to_have_text(error["message"])
    await expect(problem.locator(".field")).to_have_text("model_image")
    await expect(page.locator("#compare")).to_have_count(0)

    # The page goes on: another person, of its own examples, is dressed.
    await page.locator(".examples").first.locator("button").first.click()
    await dressed(page)
    await expect(problem).to_have_count(0)


async def test_cancel_ends_it(visit: Visit) -> None:
    page = visit.page
    await upload(page, PERSON)
    await page.get_by_label("Premium").check()
    await page.get_by_text("More settings").first.click()
    await page.locator("#try-on-steps textarea, #try-on-steps input").fill("100")
    await page.click("#try-on-start")
    await expect(page.locator("#try-on-status [data-stage=generate]")).to_be_visible()
    await page.click("#try-on-stop")
    await expect(page.locator("#try-on-status [data-phase=cancelled]")).to_contain_text("nothing is running any more")
    await expect(page.locator("#try-on-start")).to_be_visible()
    await expect(page.locator("#compare")).to_have_count(0)


async def test_a_picture_is_taken_apart_as_the_api_does_it(visit: Visit, stack: RunningStack, tmp_path: Path) -> None:
    page = visit.page
    await page.get_by_role("tab", name="Layers").click()
    file = FilePayload(name="mine.png", mimeType="image/png", buffer=PERSON)
    await page.set_input_files("#layers-picture input[type=file]", file)
    await expect(page.locator("#layers-picture img")).to_be_visible()
    await page.locator("#layers-more > button").click()
    await page.locator("#layers-seed").get_by_role("textbox").fill("5")
    await page.locator("#layers-exact input").check()
    await page.click("#layers-start")
    await expect(page.locator("#layers-status [data-phase=done]")).to_be_visible()
    await expect(page.locator("#layers-facts dl")).to_have_attribute("data-psnr", "exact")
    assert await page.evaluate("window.previews.size") > 0
    await shown(page.locator("#layers-stack img"))

    async with page.expect_download() as coming:
        await page.click("#layers-zip")
    await (await coming.value).save_as(tmp_path / "layers.zip")
    async with httpx.AsyncClient(base_url=stack.url, timeout=120) as http:
        fields = {"seed": "5", "deterministic": "true", "output": "zip"}
        answer = (await http.post("/v1/images/layers", data=fields, files={"image": PERSON})).raise_for_status().json()
        ours = await http.get(answer["file"]["url"])
    names = [layer["name"] for layer in answer["data"]]
    assert await page.locator("#layers-stack strong").all_inner_texts() == names[::-1]
    with zipfile.ZipFile(tmp_path / "layers.zip") as saved, zipfile.ZipFile(io.BytesIO(ours.content)) as expected:
        assert saved.namelist() == expected.namelist()
        assert all(saved.read(name) == expected.read(name) for name in expected.namelist())
