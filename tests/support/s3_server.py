"""As much of S3 as the store of objects uses, over real HTTP and in memory: put, get, delete and list."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class Bucket:
    """What is in it, and what goes wrong: `status` is answered to everything when it is set."""

    url: str = ""
    name: str = "pictures"
    objects: dict[str, bytes] = field(default_factory=dict)
    authorizations: set[str] = field(default_factory=set)
    status: int | None = None


@contextmanager
def s3_server() -> Iterator[Bucket]:
    """Until the block ends."""
    bucket = Bucket()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            bucket.authorizations.add(self.headers.get("authorization", "").split("/")[0])
            parts = urlsplit(self.path)
            key = unquote(parts.path).removeprefix(f"/{bucket.name}").removeprefix("/")
            if bucket.status is not None:
                self.send(bucket.status, b"")
            elif self.command == "PUT":
                bucket.objects[key] = body
                self.send(200, b"")
            elif self.command == "POST" and parts.query == "delete":
                keys = re.findall(r"<Key>(.*?)</Key>", body.decode())
                for deleted in keys:
                    bucket.objects.pop(deleted, None)
                told = "".join(f"<Deleted><Key>{deleted}</Key></Deleted>" for deleted in keys)
                self.send(200, f"<DeleteResult>{told}</DeleteResult>".encode())
            elif "list-type" in parts.query:
                self.send(200, listing(parse_qs(parts.query).get("prefix", [""])[0]))
            elif key in bucket.objects:
                self.send(200, bucket.objects[key])
            else:
                self.send(404, b"<Error><Code>NoSuchKey</Code></Error>")

        do_GET = do_PUT = do_POST = answer  # noqa: N815 - names of the base class

        def send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.send_header("etag", '"1"')
            self.send_header("last-modified", datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
            """Nothing."""

    def listing(prefix: str) -> bytes:
        now = datetime.now(UTC).isoformat()
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{now}</LastModified><ETag>1</ETag>"
            f"<Size>{len(data)}</Size></Contents>"
            for key, data in sorted(bucket.objects.items())
            if key.startswith(prefix)
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    bucket.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
