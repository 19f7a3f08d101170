"""Names to addresses."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Protocol

from gateway.adapters.fetch.addresses import IpAddress

_THREADS = 8
"""A look-up cannot be cancelled: slow name servers must not hold up what else runs in threads."""


class Resolver(Protocol):
    """Port to the name service."""

    async def resolve(self, host: str) -> tuple[IpAddress, ...]:
        """Every address of the name, none where there is no such name."""
        ...

    def close(self) -> None:
        """Free threads."""
        ...


class SystemResolver(Resolver):
    """As the operating system resolves: hosts file, name servers."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")

    async def resolve(self, host: str) -> tuple[IpAddress, ...]:
        """Never raises: what cannot be looked up has no addresses."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host)

    def close(self) -> None:
        """Look-ups under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str) -> tuple[IpAddress, ...]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # UnicodeError: labels that are empty or longer than 63 bytes.
    except (OSError, UnicodeError):
        return ()
    # A scope ("fe80::1%eth0") belongs to link-local addresses, which are refused whatever it is.
    return tuple(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
