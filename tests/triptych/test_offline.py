"""Two places talk to the internet: `triptych download`, and the guarded fetch of links that callers send.

Nothing else in the packages has an HTTP client, and no library that would fetch models is loaded by a server.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PACKAGES = ("families", "engine", "export", "gateway", "wardrobe", "triptych")
CLIENTS = (
    "httpx",
    "httpx2",
    "requests",
    "urllib3",
    "aiohttp",
    "huggingface_hub",
    "urllib.request",
    "http.client",
    "ftplib",
)
DOWNLOAD = ("triptych/download/hub.py", "triptych/download/transfer.py", "triptych/download/refusals.py")
LINKS = ("gateway/adapters/fetch/fetcher.py", "gateway/adapters/fetch/target.py")
"""Pictures by their links, each address checked before it is connected to."""
LOOPBACK = ("triptych/demo.py", "triptych/triton/health.py", "gateway/ui/api.py")
"""Clients of our own servers on this machine."""


def imported(tree: ast.Module) -> Iterator[str]:
    """Modules that a file imports anywhere in it, by statement or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def is_client(module: str) -> bool:
    return any(module == client or module.startswith(f"{client}.") for client in CLIENTS)


def test_only_downloads_and_links_import_an_http_client() -> None:
    users = {
        path.relative_to(PROJECT).as_posix()
        for package in PACKAGES
        for path in (PROJECT / package).rglob("*.py")
        if any(map(is_client, imported(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert users - set(LOOPBACK) == {*DOWNLOAD, *LINKS}


def test_the_check_sees_every_way_to_import() -> None:
    for line in (
        "import httpx",
        "from httpx import Client",
        "import urllib.request as r",
        "from urllib import request",
        "def f():\n    import requests.sessions",
        "importlib.import_module('huggingface_hub')",
    ):
        assert any(map(is_client, imported(ast.parse(line)))), line
    assert not any(map(is_client, imported(ast.parse("from urllib.parse import quote\nimport http.server"))))


_COMMANDS = """
import sys
from typer.testing import CliRunner
from triptych.cli import app
for arguments in (["--help"], ["download", "--help"], ["models"], ["models", "resolve", "--no-hash"]):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
def loaded():
    roots = {name.partition(".")[0] for name in sys.modules}
    return sorted(roots & {"httpx", "requests", "huggingface_hub", "aiohttp", "torch", "onnx", "diffusers", "gradio"})
print(*loaded())
import gateway.app
print(*loaded())
"""


def test_other_commands_load_none_and_the_gateway_the_one_for_links(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _COMMANDS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["", "httpx"]), done.stderr
