"""Which files are taken, and where they may go."""

from pathlib import Path

import pytest

from tests.download.conftest import toy_files
from tests.download.hub import git_oid
from triptych.download.errors import Refused
from triptych.download.files import Checksum, RemoteFile, Snapshot
from triptych.download.selection import check_patterns, destination, select


def remote(path: str) -> RemoteFile:
    return RemoteFile(path, 1, Checksum.GIT_BLOB, git_oid(path.encode()))


def snapshot(*paths: str) -> Snapshot:
    return Snapshot("someone/toy-model", "0" * 40, tuple(remote(path) for path in paths))


def test_weights_configurations_tokenizers_and_licences_are_taken() -> None:
    selection = select(snapshot(*toy_files(), "model.Q4_0.gguf", "README.md", "tokenizer.model"), ())
    assert {file.path for file in selection.chosen} == {
        "LICENSE.md",
        "README.md",
        "model.Q4_0.gguf",
        "model_index.json",
        "tokenizer.model",
        "tokenizer/empty.json",
        "tokenizer/merges.txt",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    }
    reasons = dict(selection.left_out)
    assert set(reasons) == {".gitattributes", "train.py", "unet/diffusion_pytorch_model.bin"}
    assert "pickle" in reasons["unet/diffusion_pytorch_model.bin"]


def test_patterns_match_whole_paths() -> None:
    selection = select(snapshot(*toy_files()), ("*.json", "LICENSE*"))
    assert [file.path for file in selection.chosen] == [
        "LICENSE.md",
        "model_index.json",
        "tokenizer/empty.json",
        "unet/config.json",
    ]


@pytest.mark.parametrize("name", ["a.ckpt", "a.pt", "a.pth", "unet/a.bin", "a.PKL", "a.pickle"])
def test_a_pickle_is_refused_by_name(name: str) -> None:
    with pytest.raises(Refused, match=f"{name}: pickle format"):
        check_patterns(snapshot("x.json", name), (name,))
    with pytest.raises(Refused, match=f"no file that may be taken: {name}: pickle format"):
        select(snapshot(name), ())
    assert [path for path, _ in select(snapshot("x.json", name), ("*",)).left_out] == [name]


def test_a_pattern_without_a_match_lists_what_is_there() -> None:
    with pytest.raises(Refused, match=r"no file of someone/toy-model matches '\*\.gguf'; it holds a\.json, b\.json"):
        check_patterns(snapshot("a.json", "b.json"), ("*.json", "*.gguf"))


@pytest.mark.parametrize(
    "path",
    [
        "../x.json",
        "a/../../x.json",
        "/etc/x.json",
        "a//x.json",
        "./x.json",
        "a/",
        "",
        "..\\x.json",
        "C:x.json",
        "a\x00.json",
        "a\n.json",
    ],
)
def test_an_unsafe_name_anywhere_stops_everything(path: str) -> None:
    with pytest.raises(Refused, match="unsafe name"):
        select(snapshot("x.json", path), ("x.json",))


def test_hidden_folders_are_ours() -> None:
    assert select(snapshot("x.json", ".partial/x.json"), ()).left_out == ((".partial/x.json", "hidden"),)


def test_links_at_the_destination_lead_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "model" / "unet").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match=r"a link in .* leads out of it"):
        destination(tmp_path / "model", remote("unet/config.json"))
    assert destination(tmp_path / "model", remote("vae/config.json")) == tmp_path / "model" / "vae" / "config.json"
