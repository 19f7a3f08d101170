"""Ask a running Triton how it is, with nothing but the standard library."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path


async def probe(address: str, port: int, path: str = "/v2/health/ready", timeout_s: float = 2.0) -> bool:
    """Whether an HTTP GET of this path answers 200 in time."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            status = (await reader.readline()).split(b" ", 2)
            return len(status) > 1 and status[1] == b"200"
    except (OSError, TimeoutError, ValueError):
        return False
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def dead_stubs(server_pid: int) -> frozenset[int]:
    """Process ids of this Triton's Python stubs that died and were not reaped.

    Triton reaps a stub it ends itself. One that crashed or was killed for memory stays a zombie: its models fail every
    request, requests in flight hang, and yet Triton calls itself ready.
    """
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue  # gone since the listing
        # "pid (name) state ppid ...", and the name may hold spaces and parentheses
        state, parent = stat[stat.rfind(")") + 2 :].split(" ", 2)[:2]
        if state == "Z" and int(parent) == server_pid:
            found.add(int(entry.name))
    return frozenset(found)
