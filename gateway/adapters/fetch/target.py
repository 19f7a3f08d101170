"""What a link says, checked before anything is looked up."""

from collections.abc import Iterable
from dataclasses import dataclass

import httpx

_LONGEST_URL = 4096
_LONGEST_HOST = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}


class LinkRefused(Exception):  # noqa: N818 - the message, with the field before it, is what the caller reads
    """This link is not followed; the message goes on from "'field' "."""


@dataclass(frozen=True, slots=True)
class Target:
    """One request to be made. `trusted`: the operator vouches for the host, wherever its address is."""

    url: httpx.URL
    port: int
    trusted: bool

    @property
    def host(self) -> str:
        """Name or literal address, lower-case."""
        return self.url.host


class LinkRules:
    """Schemes, ports and trusted hosts."""

    def __init__(self, ports: Iterable[int], trusted_hosts: Iterable[str]) -> None:
        """`trusted_hosts`: `host`, at the ports that are allowed anyway, or `host:port`; IPv6 in brackets."""
        self._ports = tuple(ports)
        self._trusted = frozenset(host.lower() for host in trusted_hosts)

    def target(self, link: str, base: httpx.URL | None = None) -> Target:
        """`base`: where a relative link (of a redirect) starts. Raises LinkRefused."""
        if len(link) > _LONGEST_URL:
            raise LinkRefused(f"is a link of more than {_LONGEST_URL} characters")
        try:
            url = httpx.URL(link) if base is None else base.join(link)
        except (httpx.InvalidURL, ValueError) as error:
            raise LinkRefused(f"is no link that can be read: {error}") from error
        if url.scheme not in _DEFAULT_PORTS:
            raise LinkRefused("leads to something else than http or https")
        # A zone ("%eth0") or an escape: no host on the internet is written so.
        if not url.host or "%" in url.host or len(url.host) > _LONGEST_HOST:
            raise LinkRefused("is a link without a host that can be read")
        if url.userinfo:
            raise LinkRefused("is a link with a user name or password in it; they are not sent anywhere")
        port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        return Target(url.copy_with(fragment=None), port, self._is_trusted(url.host, port))

    def _is_trusted(self, host: str, port: int) -> bool:
        written = f"[{host}]" if ":" in host else host
        if f"{written}:{port}" in self._trusted:
            return True
        if port not in self._ports:
            allowed = ", ".join(str(known) for known in self._ports)
            raise LinkRefused(f"is a link to port {port}; allowed: {allowed}")
        return written in self._trusted
