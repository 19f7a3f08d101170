"""Counts what the tests' own process wants from beyond this machine, and fails a session that wanted anything.

Python tells its audit hooks of every connection, datagram and look-up of a name, whatever library asks. What is written
in C (gRPC, libuv) and other processes is seen under `tests.support.offline` only, where the kernel counts.
"""

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support import offline

_INTERNET = (socket.AF_INET, socket.AF_INET6)
_HERE = ("", "localhost", "localhost.localdomain")
attempts: list[str] = []


def is_outside(host: object) -> bool:
    """Whether an address, or a name that must be looked up, belongs to another machine."""
    name = host.decode(errors="replace") if isinstance(host, bytes) else str(host or "")
    if name in _HERE:
        return False
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return True
    return not (address.is_loopback or address.is_unspecified)


def _to_address(arguments: tuple[Any, ...]) -> object | None:
    connection, address = arguments
    return address[0] if connection.family in _INTERNET and address else None


def _to_name(arguments: tuple[Any, ...]) -> object | None:
    host = arguments[0]
    try:  # an address is not looked up
        ipaddress.ip_address(host)
    except ValueError:
        return host  # type: ignore[no-any-return]
    return None


_EVENTS: dict[str, Callable[[tuple[Any, ...]], object | None]] = {
    "socket.connect": _to_address,
    "socket.sendto": _to_address,
    "socket.sendmsg": _to_address,
    "socket.getaddrinfo": _to_name,
    "socket.gethostbyname": _to_name,
}


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    read = _EVENTS.get(event)
    if read is None:
        return
    host = read(arguments)
    if host is not None and is_outside(host):
        attempts.append(f"{event} to {host!r} in {os.environ.get('PYTEST_CURRENT_TEST', 'no test')}")


def pytest_configure() -> None:
    """From the collection on. An audit hook cannot be taken away, so there is one a process."""
    sys.addaudithook(_heard)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """What the kernel refused during a test, its fixtures included."""
    if offline.COUNTS not in os.environ:
        return (yield)
    before = offline.no_routes()
    try:
        return (yield)
    finally:
        refused = offline.no_routes() - before
        if refused:
            attempts.append(f"{refused} without a route in {item.nodeid}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Any attempt fails the session."""
    if attempts and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which ones, by test."""
    if attempts:
        terminalreporter.section("attempts to leave this machine")
        for attempt in attempts:
            terminalreporter.line(attempt, red=True)
