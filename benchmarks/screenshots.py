"""`python -m benchmarks.screenshots` photographs the page `/ui` for its guide: docs/images/ui-try-on.png."""

import shutil
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Error, Page, sync_playwright
from rich.console import Console

from benchmarks.processes import ServerError
from benchmarks.quality import served

_ROOT = Path(__file__).resolve().parent.parent
_WIDTH, _HEIGHT = 1280, 900
_LIMIT_MS = 120_000
_SEED = 5
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


def photograph(url: str, chromium: str, file: Path) -> None:
    """The whole page after a try-on, also what is below the window's edge. Raises playwright's Error."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        page.set_default_timeout(_LIMIT_MS)
        page.goto(f"{url}/ui")
        page.locator(".examples button img").last.wait_for()
        try_on(page)
        page.screenshot(path=file, full_page=True)
        browser.close()


def main(
    *,
    base_url: Annotated[str | None, typer.Option(help="A running stack; default: one of our own.")] = None,
    runtime_directory: Annotated[Path, typer.Option(help="Of our own stack.")] = _ROOT / "runtime",
    chromium: Annotated[str | None, typer.Option(help="The browser; default: the one that is installed.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the picture.")] = _ROOT / "docs/images",
) -> None:
    """Needs Chromium and the extras `ui` and `test`."""
    console = Console()
    browser = chromium or shutil.which("chromium")
    if browser is None:
        console.print("[red]error:[/] there is no chromium here: install it, or name one with --chromium")
        raise typer.Exit(2)
    out.mkdir(parents=True, exist_ok=True)
    file = out / "ui-try-on.png"
    try:
        with served(base_url, runtime_directory) as url:
            photograph(url, browser, file)
    except (ServerError, Error) as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(2) from error
    console.print(f"{file}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
