"""Pictures on disk and the links that lead to them."""

import os
import re
import stat
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import httpx
import openai
import pytest

from gateway.domain.errors import PictureNotFound, SignatureRefused, UrlExpired
from gateway.domain.files import FileType
from gateway.store.objects import ObjectStore
from gateway.store.pictures import PictureStore
from gateway.store.signing import SignedName, UrlSigner, load_or_create_secret
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.server import RunningGateway, serve

LATER = 2**32


async def test_pictures_come_back_under_names_nobody_guesses(tmp_path: Path) -> None:
    store = PictureStore(ObjectStore(tmp_path / "images"))
    names = [await store.put(bytes([index]), FileType.WEBP, LATER) for index in range(3)]
    assert [await store.get(name) for name in names] == [b"\x00", b"\x01", b"\x02"]
    assert len(set(names)) == 3 and all(re.fullmatch(r"[0-9a-f]+-[\w-]{32}\.webp", name) for name in names)
    assert stat.S_IMODE((tmp_path / "images").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "name",
    ["a.png", "../secret", "/etc/passwd", "", f"6b000000-{'x' * 32}.exe", f"6b000000-{'x' * 32}.png", "inputs/a/0"],
)
async def test_other_names_are_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(PictureNotFound):
        await PictureStore(ObjectStore(tmp_path / "images")).get(name)


async def test_sweeping_deletes_what_no_link_reaches(tmp_path: Path) -> None:
    store = PictureStore(ObjectStore(tmp_path))
    old, new = [await store.put(b"x", FileType.PNG, expires) for expires in (1, LATER)]
    (tmp_path / "not ours.txt").write_text("kept")
    os.utime(tmp_path / "not ours.txt", (1, 1))
    assert await store.sweep() == 1
    assert not (tmp_path / old).exists()
    assert (tmp_path / new).exists() and (tmp_path / "not ours.txt").exists()


def test_signatures() -> None:
    signer = UrlSigner(b"s" * 32)
    link = signer.sign("a.png", int(time.time()) + 60)
    assert 58 <= signer.seconds_left(link) <= 60
    forged = [
        SignedName("b.png", link.expires, link.signature),
        SignedName("a.png", link.expires + 1, link.signature),
        SignedName("a.png", link.expires, "0" * 64),
        SignedName("a.png", link.expires, "é"),
        UrlSigner(b"t" * 32).sign("a.png", link.expires),
    ]
    for other in forged:
        with pytest.raises(SignatureRefused):
            signer.seconds_left(other)
    with pytest.raises(UrlExpired):
        signer.seconds_left(signer.sign("a.png", int(time.time()) - 1))


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "runtime" / "secret"
    secret = load_or_create_secret(file)
    assert len(secret) == 32 and load_or_create_secret(file) == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret"]
    file.write_bytes(b"short")
    with pytest.raises(ValueError, match="no usable secret"):
        load_or_create_secret(file)


def test_links_over_http(client: openai.OpenAI, gateway: RunningGateway) -> None:
    answer = client.images.generate(prompt="a", output_format="jpeg", extra_body={"num_inference_steps": 1})
    assert answer.data and answer.data[0].url
    url = answer.data[0].url
    good = httpx.get(url)
    assert good.status_code == 200 and good.headers["content-type"] == "image/jpeg"
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    bare = f"{parts.scheme}://{parts.netloc}{parts.path}"
    for wrong in ("", "?expires=1&signature=0", f"?expires=%C2%B2&signature={query['signature'][0]}", "?signature=é"):
        refused = httpx.get(bare + wrong)
        assert refused.status_code == 403 and refused.json()["error"]["code"] == "invalid_signature"
    name = parts.path.rpartition("/")[2]
    (gateway.folder / "runtime" / "images" / name).unlink()
    assert httpx.get(url).status_code == 404


def test_links_expire_and_use_the_public_address(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = {"storage.url_ttl_seconds": 60, "server.public_url": "https://images.example.org/base/"}
    with serve(folder, dict(overrides), FakeBackend()) as gateway:
        answer = httpx.post(f"{gateway.url}/v1/images/generations", json={"prompt": "a"})
        url = answer.json()["data"][0]["url"]
        assert url.startswith("https://images.example.org/base/files/")
        local = url.replace("https://images.example.org/base", gateway.url)
        assert httpx.get(local).status_code == 200
        expires = int(parse_qs(urlsplit(url).query)["expires"][0])
        monkeypatch.setattr("gateway.store.signing.time", SimpleNamespace(time=lambda: expires + 1))
        expired = httpx.get(local)
        assert expired.status_code == 410 and expired.json()["error"]["code"] == "url_expired"
