"""A web server of the tests: says what a test wants, byte by byte, and counts who asked."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Web:
    """`asked`: the heads of the requests, in order."""

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@asynccontextmanager
async def web(host: str = "127.0.0.1", port: int = 0, certificate: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    served = Web()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            if not first.isalpha():
                return
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            served.asked.append(head)
            await served.answers[head.split(" ")[1]](writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, port, ssl=certificate)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


def body(data: bytes, *headers: str, status: str = "200 OK") -> Answer:
    """A whole answer."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(data)}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        await writer.drain()

    return answer


def redirect(to: str, status: str = "302 Found") -> Answer:
    return body(b"", f"location: {to}", status=status)


async def endless(writer: asyncio.StreamWriter) -> None:
    """Sends without an end, as quickly as it is read."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"\x00" * 65536)
        await writer.drain()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then: no single wait is long, all of them together are."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while True:
        writer.write(b"\x00")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silence(_: asyncio.StreamWriter) -> None:
    """Takes the request and says nothing."""
    await asyncio.sleep(60)


async def cut(writer: asyncio.StreamWriter) -> None:
    """Hangs up in the middle of a body."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nshort")
    await writer.drain()


async def garbage(writer: asyncio.StreamWriter) -> None:
    """No HTTP."""
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\nsecret\r\n\r\n")
    await writer.drain()
