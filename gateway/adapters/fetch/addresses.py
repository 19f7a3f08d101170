"""Which addresses a link may lead to: public unicast, in whatever form they are written.

A server that fetches what callers name can be sent to places that only it can reach (server-side request forgery):
itself, its neighbours, its cloud's metadata service.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

IpAddress = IPv4Address | IPv6Address

_GLOBAL_UNICAST = ip_network("2000::/3")
"""All of IPv6 that is given out to the public."""
_NAT64 = ip_network("64:ff9b::/96")
"""The last 32 bits are the IPv4 address that the network's translator goes to."""
_NEVER = tuple(
    ip_network(network)
    for network in (
        # What Python releases judge differently.
        "192.0.0.0/24",
        "192.88.99.0/24",
        "100.64.0.0/10",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        # 6to4: an IPv4 address inside, retired from the public internet.
        "2002::/16",
        # Azure's metadata and platform service, at a public address.
        "168.63.129.16/32",
    )
)


def is_public(address: IpAddress) -> bool:
    """Whether anybody on the internet would reach the same machine under this address."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _NEVER)


def literal_address(host: str) -> IpAddress | None:
    """The address that `host` itself is, also in the forms that only C libraries read: 0x7f000001, 127.1, 2130706433.

    None for names.
    """
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        return None
