"""Debian's Chromium, driven by Playwright: pages whose requests and complaints are kept."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.support import offline

_SECONDS = 120
"""How long anything may take to be seen: the machine may be busy with more than this."""
expect.set_options(timeout=_SECONDS * 1000)
_PROBE = "2001:4860:4860::8888"
"""Chromium asks the kernel for a route to it before connections, loopback's too, to learn whether there is IPv6.
It sends nothing there. There is a setting to override the answer, and none not to ask."""


@dataclass(frozen=True)
class Visit:
    """A page that is open. `asked`: each address that it asked for; `complaints`: errors of its scripts and console."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def hosts(self) -> set[str | None]:
        """Of what it asked for; what the page itself holds has none, and is left out."""
        parts = (urlsplit(url) for url in self.asked)
        return {part.hostname for part in parts if part.scheme not in ("data", "blob")}


@asynccontextmanager
async def open_chromium() -> AsyncIterator[Browser]:
    """A browser without a window, and without what an earlier one kept. Skips where there is none."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("needs Debian's package chromium")
    if offline.COUNTS in os.environ:
        offline.end_at_loopback(_PROBE)
    async with async_playwright() as playwright:
        # Chromium's own services have names. What the page asks for is known by the names that it used.
        arguments = ["--host-resolver-rules=MAP * 127.0.0.1"]
        browser = await playwright.chromium.launch(executable_path=executable, args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visiting(browser: Browser, url: str) -> AsyncIterator[Visit]:
    """The page at `url`, as somebody sees it who was never there."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(_SECONDS * 1000)
    try:
        visit = Visit(await context.new_page())
        page = visit.page

        def complain(message: ConsoleMessage) -> None:
            if message.type == "error":
                visit.complaints.append(f"{message.text} ({message.location['url']})")

        context.on("request", lambda request: visit.asked.append(request.url))
        page.on("websocket", lambda socket: visit.asked.append(socket.url))
        page.on("console", complain)
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        await page.goto(url)
        yield visit
    finally:
        await context.close()
