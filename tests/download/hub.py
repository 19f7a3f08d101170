"""A hub on this machine: Hugging Face's HTTP API over repositories in memory, large files on a second server, its CDN.

`test_the_hub_is_like_the_real_one` holds it against the official client.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"
_LARGE = (".safetensors", ".gguf", ".bin")


@dataclass(frozen=True)
class Seen:
    """One request that a server got."""

    server: str
    method: str
    path: str
    authorization: str | None
    range: str | None


@dataclass
class Repository:
    """`files` by path. `token` is what a gated one wants: for everything, or where `listed` for its files alone."""

    files: dict[str, bytes]
    revisions: tuple[str, ...] = ("main",)
    token: str | None = None
    listed: bool = False


@dataclass
class Behaviour:
    """What goes wrong, by path. Each cut, in bytes, holds for one request."""

    cuts: dict[str, list[int]] = field(default_factory=dict)
    stops: dict[str, int] = field(default_factory=dict)
    """Sends so many bytes and then nothing, until `go_on` is set."""
    go_on: threading.Event = field(default_factory=threading.Event)
    replaced: dict[str, bytes] = field(default_factory=dict)
    """Other content than was announced."""
    ignores_ranges: bool = False
    busy: int = 0
    """So many requests are answered 503."""
    page_size: int = 1000
    next_page_host: str | None = None
    tree: list[dict[str, Any]] | None = None
    """A listing in place of the true one."""
    redirect: str | None = None
    """A Location for large files in place of the CDN."""


class Hub:
    """Both servers."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.behaviour = Behaviour()
        self.seen: list[Seen] = []
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, name)) for name in ("hub", "cdn")]
        for server in self._servers:
            server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def cdn_url(self) -> str:
        return f"http://localhost:{self._servers[1].server_port}"

    def start(self) -> None:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.behaviour.go_on.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def requests(self, server: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.server == server]


@contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def listing(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """As /tree gives it: folders among the files, large files with their LFS pointer's own id beside the sha256."""
    entries: list[dict[str, Any]] = []
    for folder in sorted({path.rpartition("/")[0] for path in files} - {""}):
        entries.append({"type": "directory", "oid": git_oid(folder.encode()), "size": 0, "path": folder})
    for path, data in files.items():
        entry: dict[str, Any] = {"type": "file", "oid": git_oid(data), "size": len(data), "path": path}
        if path.endswith(_LARGE):
            sha256 = hashlib.sha256(data).hexdigest()
            entry |= {"oid": git_oid(sha256.encode()), "lfs": {"oid": sha256, "size": len(data), "pointerSize": 130}}
        entries.append(entry)
    return entries


def _handler(hub: Hub, name: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            authorization, wanted = self.headers.get("authorization"), self.headers.get("range")
            hub.seen.append(Seen(name, self.command, self.path, authorization, wanted))
            if hub.behaviour.busy > 0:
                hub.behaviour.busy -= 1
                self._answer(503, {"retry-after": "0"})
            elif name == "cdn":
                self._from_cdn()
            elif self.path.startswith("/api/models/"):
                self._api()
            else:
                self._resolve()

        def _from_cdn(self) -> None:
            _, repository, path = urlsplit(self.path).path.split(":", 2)
            if "signature=" not in self.path:
                self._answer(403, {})
                return
            path = unquote(path)
            self._content(hub.repositories[repository].files[path], path, {})

        def _api(self) -> None:
            url = urlsplit(self.path)
            owner, repository, what, revision = url.path.removeprefix("/api/models/").split("/", 3)
            found = self._repository(f"{owner}/{repository}", unquote(revision))
            if found is None:
                return
            if what == "revision":
                siblings = [{"rfilename": path} for path in found.files]
                self._json({"_id": "1", "id": f"{owner}/{repository}", "sha": COMMIT, "siblings": siblings}, {})
                return
            entries = hub.behaviour.tree if hub.behaviour.tree is not None else listing(found.files)
            start, size = int(parse_qs(url.query).get("cursor", ["0"])[0]), hub.behaviour.page_size
            headers = {}
            if start + size < len(entries):
                host = hub.behaviour.next_page_host or hub.url
                headers["link"] = f'<{host}{url.path}?recursive=true&cursor={start + size}>; rel="next"'
            self._json(entries[start : start + size], headers)

        def _resolve(self) -> None:
            owner, repository, _, revision, path = self.path.removeprefix("/").split("/", 4)
            found, path = self._repository(f"{owner}/{repository}", revision), unquote(path)
            if found is None:
                return
            if path not in found.files:
                self._answer(404, {"x-error-code": "EntryNotFound"})
                return
            data = found.files[path]
            headers = {"x-repo-commit": COMMIT, "etag": f'"{git_oid(data)}"'}
            if not path.endswith(_LARGE):
                self._content(data, path, headers)
                return
            headers |= {"x-linked-etag": f'"{hashlib.sha256(data).hexdigest()}"', "x-linked-size": str(len(data))}
            target = hub.behaviour.redirect or f"{hub.cdn_url}/:{owner}/{repository}:{path}?signature=secret-signature"
            self._answer(302, {**headers, "location": target})

        def _repository(self, name: str, revision: str) -> Repository | None:
            found = hub.repositories.get(name)
            if found is None:
                self._answer(401, {"x-error-code": "RepoNotFound"})
            elif revision not in {*found.revisions, COMMIT}:
                self._answer(404, {"x-error-code": "RevisionNotFound"})
            elif found.listed and self.path.startswith("/api/"):
                return found
            elif found.token and self.headers.get("authorization") != f"Bearer {found.token}":
                status = 403 if self.headers.get("authorization") else 401
                self._answer(status, {"x-error-code": "GatedRepo"})
            else:
                return found
            return None

        def _content(self, data: bytes, path: str, headers: dict[str, str]) -> None:
            data = hub.behaviour.replaced.get(path, data)
            status, wanted = 200, self.headers.get("range")
            headers = {**headers, "accept-ranges": "bytes"}
            total = len(data)
            if wanted and not hub.behaviour.ignores_ranges:
                start = int(wanted.removeprefix("bytes=").partition("-")[0])
                if start >= total:
                    self._answer(416, {"content-range": f"bytes */{total}"})
                    return
                status, data = 206, data[start:]
                headers["content-range"] = f"bytes {start}-{total - 1}/{total}"
            self._head(status, {**headers, "content-length": str(len(data))})
            if self.command == "HEAD":
                return
            cuts = hub.behaviour.cuts.get(path)
            if cuts:
                self.wfile.write(data[: cuts.pop(0)])
                self.close_connection = True
                return
            stop = hub.behaviour.stops.pop(path, None)
            if stop is not None:
                self.wfile.write(data[:stop])
                self.wfile.flush()
                hub.behaviour.go_on.wait(60)
                data = data[stop:]
            try:
                self.wfile.write(data)
            except OSError:
                self.close_connection = True

        def _json(self, value: object, headers: dict[str, str]) -> None:
            body = json.dumps(value).encode()
            self._head(200, {**headers, "content-type": "application/json", "content-length": str(len(body))})
            self.wfile.write(body)

        def _answer(self, status: int, headers: dict[str, str]) -> None:
            self._head(status, {**headers, "content-length": "0"})

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()

    return Handler
