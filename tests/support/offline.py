"""Runs a command in a network namespace that has loopback and no route, and counts what wanted to leave it.

    python -m tests.support.offline python -m pytest

The kernel counts every packet and connection for which it has no route, of whatever process, so children and libraries
in C are counted as well. Names are looked up at an address without a route, so that look-ups are counted too.
Fails if the command fails, or if the count is not zero. Needs Linux and the right to make namespaces.
"""

import contextlib
import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

COUNTS = "OFFLINE_COUNTS"
"""Set for the command: `no_routes` counts it and its children, and nothing else."""
_INSIDE = "--inside"
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _UP = 0x8913, 0x8914, 1
_SIOCADDRT, _HOST_ROUTE = 0x890B, 0x5
_RESOLVER = Path("/etc/resolv.conf")
_NOWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses of the documentation's own networks, which are nobody's."""


class OfflineError(RuntimeError):
    """The namespace is not what it must be."""


def main(arguments: list[str]) -> int:
    """The exit status."""
    if arguments[:1] == [_INSIDE]:
        return _run(arguments[1:])
    if not arguments:
        sys.stderr.write("usage: python -m tests.support.offline COMMAND ...\n")
        return 2
    namespaces = ["unshare", "--net", "--mount"]
    if os.geteuid() != 0:
        namespaces += ["--user", "--map-root-user"]
    return subprocess.run(
        [*namespaces, sys.executable, "-m", "tests.support.offline", _INSIDE, *arguments], check=False
    ).returncode


def _run(command: list[str]) -> int:
    _raise_loopback()
    with _resolver_without_a_route():
        _check_that_attempts_count()
        before = no_routes()
        status = subprocess.run(command, check=False, env={**os.environ, COUNTS: "1"}).returncode
    wanted = no_routes() - before
    sys.stderr.write(f"offline: exit status {status}, {wanted} attempts to leave the machine\n")
    return status or int(wanted > 0)


def no_routes() -> int:
    """How often this namespace's kernel had no route, IPv4 and IPv6."""
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines()[:2])
    total = int(values[names.index("OutNoRoutes")])
    for line in Path("/proc/net/snmp6").read_text().splitlines():
        name, value = line.split()
        if name == "Ip6OutNoRoutes":
            total += int(value)
    return total


def end_at_loopback(address: str) -> None:
    """Inside the namespace: this one IPv6 address is not counted. For who asks for its route and sends nothing."""
    nowhere, loopback = bytes(16), socket.if_nametoindex("lo")
    target = socket.inet_pton(socket.AF_INET6, address)
    # struct in6_rtmsg: target, source, gateway; type, their lengths, metric, info, flags, interface.
    route = struct.pack("16s16s16sIHHILIi", target, nowhere, nowhere, 0, 128, 0, 1, 0, _HOST_ROUTE, loopback)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as handle, contextlib.suppress(FileExistsError):
        fcntl.ioctl(handle, _SIOCADDRT, route)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16xH14x", fcntl.ioctl(handle, _SIOCGIFFLAGS, request))[0]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _UP))


@contextlib.contextmanager
def _resolver_without_a_route() -> Iterator[None]:
    """Names would else be asked of a resolver on loopback, where nothing is counted. Seen by this namespace alone."""
    with tempfile.NamedTemporaryFile("w", prefix="resolv-") as file:
        file.write(f"nameserver {_NOWHERE[socket.AF_INET]}\noptions timeout:1 attempts:1\n")
        file.flush()
        Path(file.name).chmod(0o644)
        subprocess.run(["mount", "--bind", file.name, str(_RESOLVER.resolve())], check=True)
        yield


def _check_that_attempts_count() -> None:
    """Every kind must fail and be counted: a count that stays 0 for want of counting would prove nothing."""
    for family, address in _NOWHERE.items():
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            before = no_routes()
            with socket.socket(family, kind) as handle:
                handle.settimeout(1)
                if handle.connect_ex((address, 443)) == 0 or no_routes() == before:
                    raise OfflineError(f"{family.name} {kind.name} to {address} was not refused, or not counted")
    before = no_routes()
    with contextlib.suppress(OSError):
        socket.getaddrinfo("example.invalid", 443)
    if no_routes() == before:
        raise OfflineError("looking up a name was not counted")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
