"""`python -m benchmarks.screenshots` photographs the page `/ui` for its guide: docs/images/ui-*.png."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Error, Page, expect, sync_playwright
from rich.console import Console

from benchmarks.processes import ServerError
from benchmarks.quality import served

_ROOT = Path(__file__).resolve().parent.parent
_WIDTH, _HEIGHT = 1280, 900
_LIMIT_MS = 120_000
_SEED = 5
_FADED = 30
"""Percent that is left of the lowest layer, so that the checks below it are seen."""
_LOADED = "() => [...document.images].every(image => image.complete && image.naturalWidth > 0)"
"""Pictures that are out of sight are fetched only when they come into it."""


def try_on(page: Page) -> None:
    """The first of the examples, premium. Returns when all that it shows is there."""
    for examples in page.locator(".examples").all():
        examples.locator("button").first.click()
    for name in ("#person", "#garment"):
        page.locator(f"{name} img").wait_for()
    page.get_by_label("Premium").check()
    settings = page.locator("#try-on-more > button")
    settings.click()
    page.locator("#try-on-seed").get_by_role("textbox").fill(str(_SEED))
    page.locator("#try-on-exact input").check()
    settings.click()
    page.locator("#try-on-start").click()
    page.locator("#try-on-status [data-phase=done]").wait_for()
    for name in ("#compare", "#intermediates"):
        page.locator(f"{name} img").last.scroll_into_view_if_needed()
    page.wait_for_function(_LOADED)
    page.mouse.move(0, 0)


def take_apart(page: Page) -> None:
    """The first of the examples, with one of its layers half seen. Returns when all that it shows is there."""
    page.get_by_role("tab", name="Layers").click()
    page.locator(".examples:visible button").first.click()
    page.locator("#layers-picture img").wait_for()
    settings = page.locator("#layers-more > button")
    settings.click()
    page.locator("#layers-seed").get_by_role("textbox").fill(str(_SEED))
    page.locator("#layers-exact input").check()
    settings.click()
    page.locator("#layers-start").click()
    page.locator("#layers-status [data-phase=done]").wait_for()
    composite = page.locator("#layers-composite img")
    before = composite.get_attribute("src")
    page.locator("#layers-stack li:last-child .opacity").fill(str(_FADED))
    expect(composite).not_to_have_attribute("src", before or "", timeout=_LIMIT_MS)
    page.wait_for_function(_LOADED)
    page.mouse.move(0, 0)


SHOTS: dict[str, Callable[[Page], None]] = {"ui-try-on.png": try_on, "ui-layers.png": take_apart}
"""By the names of their files."""


def photograph(url: str, chromium: str, out: Path) -> None:
    """The whole page after each of them, also what is below the window's edge. Raises playwright's Error."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        for name, show in SHOTS.items():
            page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
            page.set_default_timeout(_LIMIT_MS)
            page.goto(f"{url}/ui")
            page.locator(".examples:visible button img").last.wait_for()
            show(page)
            page.screenshot(path=out / name, full_page=True)
            page.close()
        browser.close()


def main(
    *,
    base_url: Annotated[str | None, typer.Option(help="A running stack; default: one of our own.")] = None,
    runtime_directory: Annotated[Path, typer.Option(help="Of our own stack.")] = _ROOT / "runtime",
    chromium: Annotated[str | None, typer.Option(help="The browser; default: the one that is installed.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = _ROOT / "docs/images",
) -> None:
    """Needs Chromium and the extras `ui` and `test`."""
    console = Console()
    browser = chromium or shutil.which("chromium")
    if browser is None:
        console.print("[red]error:[/] there is no chromium here: install it, or name one with --chromium")
        raise typer.Exit(2)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with served(base_url, runtime_directory) as url:
            photograph(url, browser, out)
    except (ServerError, Error) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(2) from error
    for name in SHOTS:
        console.print(f"{out / name}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
