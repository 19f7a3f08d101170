"""Files come here whole, checked and in one step, over connections that break."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.download.conftest import NAME, safetensors, toy_files
from tests.download.hub import Hub
from triptych.download.errors import CorruptFile, DownloadError, RemoteError, TransferError
from triptych.download.files import RemoteFile, Snapshot
from triptych.download.hub import Hub as Client
from triptych.download.patience import Patience
from triptych.download.transfer import PARTIAL_FOLDER, Outcome, Transfer

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
CONFIG = "unet/config.json"
NO_WAIT = Patience(attempts=3, first_wait=0)


class Positions:
    def __init__(self) -> None:
        self.seen: list[int] = []

    def at(self, position: int) -> None:
        self.seen.append(position)


def fetch(hub: Hub, folder: Path, path: str, token: str | None = None) -> tuple[Outcome, list[int]]:
    positions = Positions()
    with Client(hub.url, SecretStr(token) if token else None, NO_WAIT) as client:
        snapshot = client.snapshot(NAME, "main")
        outcome = Transfer(client, snapshot, folder, NO_WAIT).fetch(find(snapshot, path), positions)
    return outcome, positions.seen


def find(snapshot: Snapshot, path: str) -> RemoteFile:
    return next(file for file in snapshot.files if file.path == path)


def partials(folder: Path) -> list[Path]:
    return list((folder / PARTIAL_FOLDER).glob("*.part"))


@pytest.mark.parametrize("path", [WEIGHTS, CONFIG, "tokenizer/merges.txt", "tokenizer/empty.json"])
def test_large_and_small_files_arrive(hub: Hub, tmp_path: Path, path: str) -> None:
    outcome, positions = fetch(hub, tmp_path, path)
    data = toy_files()[path]
    assert (outcome, (tmp_path / path).read_bytes()) == (Outcome.DOWNLOADED, data)
    assert positions[-1:] == ([len(data)] if data else [])
    assert partials(tmp_path) == []


def test_what_is_here_already_is_checked_and_not_fetched(hub: Hub, tmp_path: Path) -> None:
    fetch(hub, tmp_path, WEIGHTS)
    asked = len(hub.requests("cdn"))
    assert fetch(hub, tmp_path, WEIGHTS)[0] is Outcome.PRESENT
    assert len(hub.requests("cdn")) == asked
    damaged = bytearray((tmp_path / WEIGHTS).read_bytes())
    damaged[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(damaged)
    assert fetch(hub, tmp_path, WEIGHTS)[0] is Outcome.DOWNLOADED
    assert (tmp_path / WEIGHTS).read_bytes() == toy_files()[WEIGHTS]


def test_a_connection_that_breaks_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    # More often than there are attempts: each break after some progress is a first one.
    hub.behaviour.cuts[WEIGHTS] = [100_000] * 7
    fetch(hub, tmp_path, WEIGHTS)
    assert (tmp_path / WEIGHTS).read_bytes() == toy_files()[WEIGHTS]
    ranges = [seen.range for seen in hub.requests("cdn")]
    assert ranges == [None, *(f"bytes={100_000 * times}-" for times in range(1, 8))]


def test_a_server_that_ignores_ranges_starts_again(hub: Hub, tmp_path: Path) -> None:
    hub.behaviour.cuts[WEIGHTS] = [300_000]
    hub.behaviour.ignores_ranges = True
    _, positions = fetch(hub, tmp_path, WEIGHTS)
    assert (tmp_path / WEIGHTS).read_bytes() == toy_files()[WEIGHTS]
    assert positions.count(0) == 1


def test_without_progress_it_gives_up_and_keeps_what_came(hub: Hub, tmp_path: Path) -> None:
    hub.behaviour.cuts[WEIGHTS] = [200_000, 0, 0, 0]
    with pytest.raises(TransferError, match=r"200000 of \d+ bytes are kept\); tried 3 times"):
        fetch(hub, tmp_path, WEIGHTS)
    assert not (tmp_path / WEIGHTS).exists()
    assert [path.stat().st_size for path in partials(tmp_path)] == [200_000]
    hub.behaviour.cuts.clear()
    _, positions = fetch(hub, tmp_path, WEIGHTS)
    assert hub.requests("cdn")[-1].range == "bytes=200000-"
    assert positions[0] == 200_000
    assert (tmp_path / WEIGHTS).read_bytes() == toy_files()[WEIGHTS]


def test_a_busy_hub_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    hub.behaviour.busy = 2
    fetch(hub, tmp_path, WEIGHTS)
    hub.behaviour.busy = 3
    with pytest.raises(TransferError, match=r"someone/toy-model at main: the hub is busy or broken \(503\); tried 3"):
        fetch(hub, tmp_path, WEIGHTS)


def test_a_wrong_checksum_is_never_put_in_place(hub: Hub, tmp_path: Path) -> None:
    for path in (WEIGHTS, CONFIG):
        data = bytearray(toy_files()[path])
        data[-1] ^= 1
        hub.behaviour.replaced[path] = bytes(data)
        with pytest.raises(CorruptFile, match=f"{path}: (sha256|git-sha1) is [0-9a-f]+, but the hub announced"):
            fetch(hub, tmp_path, path)
        assert not (tmp_path / path).exists()
    assert partials(tmp_path) == []


def test_a_damaged_partial_file_is_fetched_afresh(hub: Hub, tmp_path: Path) -> None:
    hub.behaviour.cuts[WEIGHTS] = [200_000, 0, 0, 0]
    with pytest.raises(TransferError):
        fetch(hub, tmp_path, WEIGHTS)
    hub.behaviour.cuts.clear()
    [partial] = partials(tmp_path)
    partial.write_bytes(bytes(200_000))
    fetch(hub, tmp_path, WEIGHTS)
    assert (tmp_path / WEIGHTS).read_bytes() == toy_files()[WEIGHTS]


@pytest.mark.parametrize("surplus", [0, 1000])
def test_a_partial_file_that_is_whole_or_too_long(hub: Hub, tmp_path: Path, surplus: int) -> None:
    with Client(hub.url, None, NO_WAIT) as client:
        file = find(client.snapshot(NAME, "main"), WEIGHTS)
    (tmp_path / PARTIAL_FOLDER).mkdir()
    (tmp_path / PARTIAL_FOLDER / f"{file.digest}.part").write_bytes(toy_files()[WEIGHTS] + bytes(surplus))
    fetch(hub, tmp_path, WEIGHTS)
    assert (tmp_path / WEIGHTS).read_bytes() == toy_files()[WEIGHTS]
    assert len(hub.requests("cdn")) == (1 if surplus else 0)


def test_more_bytes_than_announced_are_refused(hub: Hub, tmp_path: Path) -> None:
    hub.behaviour.replaced[WEIGHTS] = toy_files()[WEIGHTS] + b"more"
    with pytest.raises(CorruptFile, match="sends more than the"):
        fetch(hub, tmp_path, WEIGHTS)
    assert not (tmp_path / WEIGHTS).exists()


def test_fewer_bytes_than_announced_are_refused(hub: Hub, tmp_path: Path) -> None:
    hub.behaviour.replaced[WEIGHTS] = toy_files()[WEIGHTS][:-1]
    with pytest.raises(RemoteError, match="the file is shorter than announced"):
        fetch(hub, tmp_path, WEIGHTS)
    assert not (tmp_path / WEIGHTS).exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x80\x04\x95" + bytes(300), "pickle"),
        (b"PK\x03\x04" + bytes(300), "zip archive"),
        (safetensors(1024)[:-100], "truncated"),
        (b"GGUF" + bytes(100), "it"),
        (b"<!doctype html>" + bytes(100), "no safetensors file"),
    ],
)
def test_weights_that_are_none_are_refused_by_their_content(
    hub: Hub, tmp_path: Path, content: bytes, says: str
) -> None:
    hub.repositories[NAME].files[WEIGHTS] = content
    with pytest.raises(CorruptFile, match=says) as caught:
        fetch(hub, tmp_path, WEIGHTS)
    assert str(caught.value).startswith(f"{WEIGHTS} was refused: ")
    assert PARTIAL_FOLDER not in str(caught.value)
    assert not (tmp_path / WEIGHTS).exists() and partials(tmp_path) == []


def test_the_token_stays_with_the_hub(hub: Hub, tmp_path: Path) -> None:
    hub.repositories[NAME].token = "hf_secret"
    fetch(hub, tmp_path, WEIGHTS, "hf_secret")
    fetch(hub, tmp_path, CONFIG, "hf_secret")
    assert {seen.authorization for seen in hub.requests("hub")} == {"Bearer hf_secret"}
    assert [seen.authorization for seen in hub.requests("cdn")] == [None]


def test_no_message_carries_token_or_signature(hub: Hub, tmp_path: Path) -> None:
    hub.repositories[NAME].token = "hf_secret"
    hub.behaviour.cuts[WEIGHTS] = [0, 0, 0]
    messages = []
    for token in ("hf_secret", "hf_wrong"):
        with pytest.raises(DownloadError) as caught:
            fetch(hub, tmp_path, WEIGHTS, token)
        messages += [str(caught.value), repr(caught.value.__cause__)]
    assert not any("hf_" in text or "signature" in text for text in messages), messages


@pytest.mark.parametrize("location", ["/someone/toy-model/resolve/main/{path}", "ftp://elsewhere/file"])
def test_redirects_that_lead_nowhere_end(hub: Hub, tmp_path: Path, location: str) -> None:
    hub.behaviour.redirect = location.format(path=WEIGHTS)
    with pytest.raises(TransferError, match="tried 3 times"):
        fetch(hub, tmp_path, WEIGHTS)


def test_a_next_page_elsewhere_is_not_asked(hub: Hub, tmp_path: Path) -> None:
    hub.behaviour.page_size, hub.behaviour.next_page_host = 2, hub.cdn_url
    with pytest.raises(RemoteError, match="another host"):
        fetch(hub, tmp_path, WEIGHTS, "hf_secret")
    assert hub.requests("cdn") == []


def test_the_listing_comes_in_pages(hub: Hub) -> None:
    hub.behaviour.page_size = 2
    with Client(hub.url, None, NO_WAIT) as client:
        snapshot = client.snapshot(NAME, "refs/pr/1")
    assert {file.path for file in snapshot.files} == set(toy_files())


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "file", "path": "x.json", "oid": "../../etc", "size": 1},
        {"type": "file", "path": "x.json", "oid": "0" * 40, "size": -1},
        {"type": "file", "path": "x.gguf", "oid": "0" * 40, "size": 1, "lfs": {"oid": "/x", "size": 1}},
        {"path": "x.json"},
    ],
)
def test_a_listing_that_makes_no_sense_is_refused(hub: Hub, entry: dict[str, object]) -> None:
    hub.behaviour.tree = [entry]
    with Client(hub.url, None, NO_WAIT) as client, pytest.raises(RemoteError, match="not what it should be"):
        client.snapshot(NAME, "main")


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:9", None, NO_WAIT) as client, pytest.raises(TransferError, match="no answer"):
        client.snapshot(NAME, "main")
