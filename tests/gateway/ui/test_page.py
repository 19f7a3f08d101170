"""The page as an ASGI application: what it serves, what it leaves behind, and that it can be closed."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from gateway.ui.page import PATH, Page

_FETCHED = re.compile(r"""(?:src=|href=|url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")
"""What a browser would ask for while it reads a page or its style; tests/e2e sees what it does ask for."""


@pytest.fixture(scope="module")
async def page(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Page, Path]]:
    folder = tmp_path_factory.mktemp("page") / "pictures"
    folder.mkdir()
    (folder / "left-over.png").write_bytes(b"of a server that was killed")
    page = Page(folder, 1_000_000)
    yield page, folder
    await page.close()


def client(page: Page) -> httpx.AsyncClient:
    app = Starlette(routes=[Mount(PATH, page)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page", follow_redirects=True)


async def test_everything_it_needs_is_its_own(page: tuple[Page, Path]) -> None:
    async with client(page[0]) as http:
        answers = [await http.get(f"{PATH}{path}") for path in ("", "/theme.css", "/config")]
    assert [answer.status_code for answer in answers] == [200] * 3
    config = answers[2].json()
    assert config["analytics_enabled"] is False
    assert config["stylesheets"] == []
    assert "--font:" in answers[1].text
    for answer in answers[:2]:
        assert [each for each in _FETCHED.findall(answer.text) if not each.startswith("http://page/")] == []


async def test_pictures_are_private_and_nothing_is_left_over(page: tuple[Page, Path]) -> None:
    async with client(page[0]) as http:
        await http.get(f"{PATH}/")
    folder = page[1]
    assert folder.stat().st_mode & 0o077 == 0
    assert not (folder / "left-over.png").exists()


async def test_files_of_the_machine_are_not_handed_out(page: tuple[Page, Path], tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("url_secret")
    async with client(page[0]) as http:
        for path in (secret, Path("/etc/passwd"), Path.cwd() / "pyproject.toml"):
            answer = await http.get(f"{PATH}/gradio_api/file={path}")
            assert answer.status_code in (403, 404), path


async def test_closing_ends_streams_and_deletes_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    page = Page(folder, 1_000_000)
    begun, sent = asyncio.Event(), list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nobody disconnects")

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and message.get("body"):
            begun.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": "GET",
        "path": f"{PATH}/gradio_api/heartbeat/visitor",
        "root_path": PATH,
        "app_root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"page")],
        "server": ("127.0.0.1", 80),
        "scheme": "http",
    }
    streaming = asyncio.create_task(page(scope, receive, send))
    await asyncio.wait_for(begun.wait(), 120)
    assert folder.exists()
    page.begin_close()
    await asyncio.wait_for(streaming, 30)
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    await page.close()
    assert not folder.exists()
    async with client(page) as http:
        assert (await http.get(f"{PATH}/")).status_code == 503
