"""Hold ports for a server that comes and goes."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from triptych.triton.command import Ports
from triptych.triton.errors import PortInUseError


@dataclass(frozen=True)
class PortLease:
    """Three ports that stay ours while Triton restarts.

    Each is held by a socket that is bound but never listens. On Linux, Triton can bind the same port (both sides set
    SO_REUSEADDR and only one listens), while nobody else gets it: neither as a free port nor for an outgoing
    connection. So there is no gap between choosing a port and using it, nor while Triton is down.
    """

    address: str
    ports: Ports
    _holders: tuple[socket.socket, ...]

    def close(self) -> None:
        """Let the ports go."""
        for holder in self._holders:
            holder.close()


def lease(address: str, wanted: Ports) -> PortLease:
    """Take the wanted ports, a free one for each 0. Raises `PortInUseError`."""
    holders: list[socket.socket] = []
    try:
        for name, port in (("http", wanted.http), ("grpc", wanted.grpc), ("metrics", wanted.metrics)):
            holders.append(_hold(name, address, port))
        http, grpc, metrics = (holder.getsockname()[1] for holder in holders)
    except BaseException:
        for holder in holders:
            holder.close()
        raise
    return PortLease(address, Ports(http, grpc, metrics), tuple(holders))


def _hold(name: str, address: str, port: int) -> socket.socket:
    holder = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((address, port))
    except OSError as error:
        holder.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(name, address, port) from error
        raise
    return holder
