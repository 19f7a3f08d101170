"""Links are followed to the public internet alone, and within limits: real connections to servers of this machine."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from gateway.adapters.fetch import PictureFetcher
from gateway.adapters.fetch.addresses import IpAddress
from gateway.adapters.fetch.resolver import Resolver
from gateway.domain.tryon_errors import ImageLoadError
from gateway.settings import FetchSettings, SettingsError
from tests.gateway.adapters.web import Web, body, cut, drip, endless, garbage, redirect, silence, web

FIELD = "model_image"


class Names(Resolver):
    """A name service of the test: each look-up of a name takes the next of its answers, the last one for ever."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {name.replace("_", "."): list(addresses) for name, addresses in answers.items()}
        self.looked_up: list[str] = []

    async def resolve(self, host: str) -> tuple[IpAddress, ...]:
        self.looked_up.append(host)
        known = self.answers.get(host, [])
        if not known:
            return ()
        answer = known.pop(0) if len(known) > 1 else known[0]
        return tuple(ip_address(address) for address in answer.split())

    def close(self) -> None:
        pass


@pytest.fixture()
async def site() -> AsyncIterator[Web]:
    async with web() as served:
        yield served


@asynccontextmanager
async def fetcher(
    site: Web, *trusted: str, names: Names | None = None, permitted: str = "", **settings: object
) -> AsyncIterator[PictureFetcher]:
    """`permitted`: the one address that is judged public; none: as always."""
    known = FetchSettings.model_validate({"ports": (80, 443, site.port), "trusted_hosts": trusted, **settings})
    judge = {"permitted": lambda address: str(address) == permitted} if permitted else {}
    made = PictureFetcher(known, resolver=names or Names(), **judge)
    try:
        yield made
    finally:
        await made.close()


async def refusal(fetching: PictureFetcher, link: str) -> str:
    with pytest.raises(ImageLoadError) as caught:
        await fetching.fetch(link, FIELD)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "ImageLoadError", FIELD)
    assert caught.value.message.startswith(f"'{FIELD}' ")
    return caught.value.message


async def content(fetching: PictureFetcher, link: str) -> bytes:
    picture = await fetching.fetch(link, FIELD)
    assert picture.field == FIELD
    with picture.file as file:
        return file.read()


async def test_a_picture_of_a_trusted_host(site: Web) -> None:
    site.answers["/a.png?x=1"] = body(b"picture")
    async with fetcher(site, "127.0.0.1") as fetching:
        assert await content(fetching, site.url("/a.png?x=1#part")) == b"picture"
    head = site.asked[0].lower()
    assert f"host: 127.0.0.1:{site.port}" in head
    assert not any(name in head for name in ("cookie", "authorization", "gzip"))


async def test_a_trusted_host_may_have_a_port_of_its_own(site: Web) -> None:
    site.answers["/a"] = body(b"picture")
    async with fetcher(site, f"127.0.0.1:{site.port}", ports=(80,)) as fetching:
        assert await content(fetching, site.url("/a")) == b"picture"
    async with fetcher(site, "127.0.0.1", ports=(80,)) as fetching:
        assert f"port {site.port}; allowed: 80" in await refusal(fetching, site.url("/a"))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "0x7f000001", "2130706433", "127.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "inside.test"]
)
async def test_this_machine_is_refused(site: Web, host: str) -> None:
    names = Names(inside_test=["127.0.0.1"])
    async with fetcher(site, names=names) as fetching:
        assert "not on the public internet" in await refusal(fetching, site.url("/", host))
    assert not site.asked


async def test_one_inner_address_among_public_ones_is_enough(site: Web) -> None:
    async with fetcher(site, names=Names(mixed_test=["8.8.8.8 10.0.0.1"])) as fetching:
        assert "not on the public internet" in await refusal(fetching, "http://mixed.test/")


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("ftp://example.org/a.png", "http or https"),
        ("file:///etc/passwd", "http or https"),
        ("gopher://127.0.0.1:6379/_", "http or https"),
        ("http://", "without a host"),
        ("http:///a.png", "without a host"),
        ("http://[fe80::1%25eth0]/", "without a host"),
        ("http://ex%61mple.org/", "without a host"),
        ("http://user@example.org/", "user name"),
        ("http://user:secret@example.org/", "user name"),
        ("http://example.org@127.0.0.1/", "user name"),
        ("http://example.org:22/", "port 22"),
        ("http://example.org:0/", "port 0"),
        ("http://[::1", "no link"),
        ("http://example.org/\x00", "no link"),
        ("http://unknown.test/", "no address"),
        ("http://" + "a" * 300 + ".test/", "without a host"),
        ("http://example.org/" + "a" * 5000, "4096 characters"),
    ],
)
async def test_links_that_are_not_followed(site: Web, link: str, says: str) -> None:
    names = Names()
    async with fetcher(site, names=names) as fetching:
        message = await refusal(fetching, link)
    assert says in message
    assert "secret" not in message
    assert names.looked_up in ([], ["unknown.test"])


async def test_a_name_that_changes_its_mind() -> None:
    """The second answer of its name service is this machine; the connection goes where the first one said."""
    async with web("127.0.0.2") as outside, web("127.0.0.1", outside.port) as inside:
        outside.answers["/"] = body(b"outside")
        inside.answers["/"] = body(b"inside")
        names = Names(rebinding_test=["127.0.0.2", "127.0.0.1"])
        async with fetcher(outside, names=names, permitted="127.0.0.2") as fetching:
            assert await content(fetching, outside.url("/", "rebinding.test")) == b"outside"
            assert names.looked_up == ["rebinding.test"]
            assert "not on the public internet" in await refusal(fetching, outside.url("/", "rebinding.test"))
    assert f"host: rebinding.test:{outside.port}" in outside.asked[0].lower()
    assert not inside.asked


async def test_a_second_address_where_the_first_does_not_answer(site: Web) -> None:
    site.answers["/"] = body(b"picture")
    names = Names(two_test=["127.0.0.3 127.0.0.1"])
    async with fetcher(site, "two.test", names=names) as fetching:
        assert await content(fetching, site.url("/", "two.test")) == b"picture"
    async with fetcher(site, "two.test", names=Names(two_test=["127.0.0.3"])) as fetching:
        assert "does not take connections" in await refusal(fetching, site.url("/", "two.test"))


async def test_redirects_are_checked_one_by_one() -> None:
    async with web("127.0.0.2") as outside, web("127.0.0.1", outside.port) as inside:
        outside.answers["/inside"] = redirect(inside.url("/secret"))
        outside.answers["/metadata"] = redirect("http://169.254.169.254/latest/meta-data/")
        outside.answers["/file"] = redirect("file:///etc/passwd")
        outside.answers["/user"] = redirect("http://user:secret@out.test/")
        outside.answers["/relative"] = redirect("found", "308 Permanent Redirect")
        outside.answers["/found"] = body(b"picture")
        outside.answers["/round"] = redirect("/round")
        names = Names(out_test=["127.0.0.2"])
        async with fetcher(outside, names=names, permitted="127.0.0.2") as fetching:
            for path, says in (
                ("/inside", "not on the public internet"),
                ("/metadata", "not on the public internet"),
                ("/file", "http or https"),
                ("/user", "user name"),
                ("/round", "more than 3 times"),
            ):
                assert says in await refusal(fetching, outside.url(path, "out.test"))
            assert await content(fetching, outside.url("/relative", "out.test")) == b"picture"
    assert sum("/round" in head for head in outside.asked) == 4
    assert not inside.asked


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (endless, "more than 200000 bytes"),
        (body(b"x" * 200_001), "200001 bytes"),
        (body(b""), "empty"),
        (body(b"no", status="404 Not Found"), "answers 404"),
        (body(b"no", status="206 Partial Content"), "answers 206"),
        (body(b"\x1f\x8b", "content-encoding: gzip"), "compressed"),
        (drip, "within 0.3 s"),
        (silence, "within 0.3 s"),
        (cut, "HTTP properly"),
        (garbage, "HTTP properly"),
    ],
)
async def test_servers_that_misbehave(site: Web, answer: object, says: str) -> None:
    site.answers["/"] = answer  # type: ignore[assignment]
    limits = {"max_bytes": 200_000, "timeout_seconds": 0.3 if "0.3" in says else 20}
    async with fetcher(site, "127.0.0.1", **limits) as fetching:
        message = await refusal(fetching, site.url("/"))
    assert says in message
    assert "secret" not in message


async def test_a_link_that_must_be_safe_is_not_asked_in_the_clear(site: Web) -> None:
    async with fetcher(site, "127.0.0.1") as fetching:
        assert "not safely" in await refusal(fetching, site.url("/").replace("http:", "https:"))
    assert not site.asked


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
async def test_certificates_are_checked_against_the_name(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=cdn.test"
    files = ["-addext", "subjectAltName=DNS:cdn.test", "-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, [*command.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with web(certificate=context) as site:
        site.answers["/"] = body(b"picture")
        hosts, names = ("cdn.test", "other.test"), Names(cdn_test=["127.0.0.1"], other_test=["127.0.0.1"])
        link = f"https://cdn.test:{site.port}/"
        async with fetcher(site, *hosts, names=names, ca_file=certificate) as fetching:
            assert await content(fetching, link) == b"picture"
            assert "not safely" in await refusal(fetching, link.replace("cdn", "other"))
        async with fetcher(site, *hosts, names=names) as fetching:
            assert "not safely" in await refusal(fetching, link)


def test_a_file_of_no_certificates_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(SettingsError, match=r"fetch\.ca_file"):
            PictureFetcher(FetchSettings(ca_file=tmp_path / name))


@pytest.fixture()
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    yield


@pytest.mark.usefixtures("proxy")
async def test_proxies_of_the_environment_are_not_asked(site: Web) -> None:
    site.answers["/"] = body(b"picture")
    async with fetcher(site, "127.0.0.1") as fetching:
        assert await content(fetching, site.url("/")) == b"picture"


async def test_without_a_network(site: Web) -> None:
    async with fetcher(site, "127.0.0.1", enabled=False) as fetching:
        assert "fetches none" in await refusal(fetching, site.url("/"))
    assert not site.asked


async def test_giving_up_leaves_no_connection(site: Web) -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def until_gone(writer: asyncio.StreamWriter) -> None:
        begun.set()
        try:
            await endless(writer)
        except ConnectionError:
            gone.set()

    site.answers["/"] = until_gone
    async with fetcher(site, "127.0.0.1", max_bytes=2**40) as fetching:
        task = asyncio.create_task(fetching.fetch(site.url("/"), FIELD))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            await gone.wait()
