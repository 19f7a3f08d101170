"""One picture by its link.

A name is looked up once a hop, every address that it has is checked, and the connection goes to an address that was
checked: a name server that answers differently the next time is not asked a next time. Redirects are followed by hand
for the same reason. Nothing of the environment is used: no proxies, no netrc, no cookies.
"""

import asyncio
import logging
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import BinaryIO, cast

import httpx

from gateway.adapters.fetch.addresses import IpAddress, is_public, literal_address
from gateway.adapters.fetch.resolver import Resolver, SystemResolver
from gateway.adapters.fetch.target import LinkRefused, LinkRules, Target
from gateway.domain.edits import PictureFile
from gateway.domain.tryon_errors import ImageLoadError
from gateway.settings import FetchSettings, SettingsError

logger = logging.getLogger(__name__)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_IN_MEMORY = 1024 * 1024
"""Bytes; what is longer lies on disk, as uploads do."""
_AT_ONCE = 16
_HEADERS = {
    "accept": "image/png, image/jpeg, image/webp",
    # Compressed answers could be endless after few bytes.
    "accept-encoding": "identity",
    "user-agent": "Triptych",
}


class PictureFetcher:
    """Belongs to one event loop."""

    def __init__(
        self,
        settings: FetchSettings,
        *,
        resolver: Resolver | None = None,
        permitted: Callable[[IpAddress], bool] = is_public,
    ) -> None:
        """`permitted` judges addresses of hosts that are not trusted. Raises SettingsError for `fetch.ca_file`."""
        self._settings = settings
        self._rules = LinkRules(settings.ports, settings.trusted_hosts)
        self._resolver = resolver or SystemResolver()
        self._permitted = permitted
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._client = httpx.AsyncClient(
            headers=_HEADERS,
            trust_env=False,
            verify=_certificates(settings),
            follow_redirects=False,
            # All of it has one limit, in `fetch`; connecting has half, for the second address of a name.
            timeout=httpx.Timeout(None, connect=settings.timeout_seconds / 2),
            # A connection kept for the next request would be one to an address that was not checked for it.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def fetch(self, link: str, field: str) -> PictureFile:
        """Raises ImageLoadError naming the field. What the file holds is for the reader of pictures to find out.

        Whoever fetched closes the file.
        """
        if not self._settings.enabled:
            raise ImageLoadError(
                f"'{field}' is a link, and this server fetches none; send the picture itself, as a file or data URI",
                param=field,
            )
        try:
            async with asyncio.timeout(self._settings.timeout_seconds), self._slots:
                return PictureFile(field, await self._follow(link))
        except LinkRefused as error:
            raise ImageLoadError(f"'{field}' {error}", param=field) from error
        except TimeoutError as error:
            raise ImageLoadError(
                f"'{field}' could not be fetched within {self._settings.timeout_seconds:g} s", param=field
            ) from error

    async def close(self) -> None:
        """No call may follow."""
        await self._client.aclose()
        self._resolver.close()

    async def _follow(self, link: str) -> BinaryIO:
        target = self._rules.target(link)
        for _ in range(self._settings.max_redirects + 1):
            async with self._asked(target) as answer:
                if answer.status_code not in _REDIRECTS:
                    return await self._received(answer)
                target = self._rules.target(answer.headers.get("location", ""), target.url)
        raise LinkRefused(f"is redirected more than {self._settings.max_redirects} times")

    async def _addresses(self, target: Target) -> tuple[IpAddress, ...]:
        literal = literal_address(target.host)
        found = (literal,) if literal else await self._resolver.resolve(target.host)
        if not found:
            raise LinkRefused(f"is a link to {target.host}, which has no address")
        # One that may not be reached is enough: names of honest pictures have none.
        if not target.trusted and not all(self._permitted(address) for address in found):
            logger.warning("refused a link to %r at %s", target.host, ", ".join(map(str, found)))
            raise LinkRefused(
                f"is a link to {target.host}, which is not on the public internet; such links are refused"
            )
        return found

    @asynccontextmanager
    async def _asked(self, target: Target) -> AsyncIterator[httpx.Response]:
        """The answer's head; its body is still to come."""
        answer = await self._first_answer(target, await self._addresses(target))
        try:
            yield answer
        finally:
            await answer.aclose()

    async def _first_answer(self, target: Target, addresses: tuple[IpAddress, ...]) -> httpx.Response:
        for address in addresses:
            request = self._client.build_request(
                "GET",
                target.url.copy_with(host=str(address)),
                headers={"host": target.url.netloc.decode("ascii")},
                # Certificates are checked against the name, not the address.
                extensions={"sni_hostname": target.host},
            )
            try:
                return await self._client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except httpx.HTTPError as error:
                raise LinkRefused(f"could not be fetched: {_reason(error)}") from error
        raise LinkRefused(f"could not be fetched: {target.host} does not take connections, or not safely")

    async def _received(self, answer: httpx.Response) -> BinaryIO:
        if answer.status_code != 200:
            raise LinkRefused(f"could not be fetched: its server answers {answer.status_code}")
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise LinkRefused("could not be fetched: its server sends it compressed though it was asked not to")
        limit = self._settings.max_bytes
        declared = answer.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise LinkRefused(f"is a link to {declared} bytes; allowed: at most {limit}")
        file = cast(BinaryIO, tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - handed out open
        try:
            await self._copy(answer, file, limit)
        except BaseException:
            file.close()
            raise
        return file

    async def _copy(self, answer: httpx.Response, file: BinaryIO, limit: int) -> None:
        received = 0
        try:
            async for chunk in answer.aiter_raw():
                received += len(chunk)
                if received > limit:
                    raise LinkRefused(f"is a link to more than {limit} bytes, which is the limit")
                file.write(chunk)
        except httpx.HTTPError as error:
            raise LinkRefused(f"could not be fetched: {_reason(error)}") from error
        if not received:
            raise LinkRefused("is a link to an empty file")
        file.seek(0)


def _certificates(settings: FetchSettings) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"setting fetch.ca_file: {settings.ca_file}: {error}") from error
    return context


def _reason(error: httpx.HTTPError) -> str:
    """Nothing of what the other side sent: answers of machines that callers cannot reach are not theirs to read."""
    match error:
        case httpx.RemoteProtocolError() | httpx.DecodingError():
            return "its server does not speak HTTP properly"
        case _:
            return "the connection broke"
