"""Tokenizers opened from a vocabulary and its merges: the ids that transformers gives."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer, PreTrainedTokenizerBase, Qwen2Tokenizer

from families.errors import ManifestError
from families.sources.configs import ConfigFolders
from families.special_tokens import TokenizerFiles
from families.tokenizers import definition, open_tokenizer
from tests.support.published_tokenizers import BEGIN, END, flags, write, write_clip, write_qwen2

FOLDERS: dict[str, Callable[[Path], Path]] = {
    "sd15": write_clip,
    "sdxl's second": lambda folder: write_clip(folder, pad="!"),
    "clip without a map": lambda folder: write_clip(folder, pad="!", special_map=False),
    "qwen2": write_qwen2,
    "qwen2 of old": lambda folder: write_qwen2(folder, by_id=False),
}
TEXTS = (
    "",
    " ",
    "a woman in a red striped dress",
    "A WOMAN, In   a\tRed\n\n  dress!! it's o'clock; they'LL we've",
    "  leading and trailing  \r\n",
    "naïve café e\u0301\u0301 Ärzte straße İstanbul ﬁ ①",
    "漢字かな交じり文 한국어 тест العربية हिन्दी",
    "👩‍👩‍👧 emoji 🇩🇪 👍🏽 \u200d \ufeff \x00\x07",
    "1234567890 3.14 ½ x² №5",
    "!!! hello! a!b (red:1.2) <lora:x:1> _under_score_ --- ...",
    f"{BEGIN}{END} a {END}b <|STARTOFTEXT|> <| endoftext |>",
    "<|im_start|>user\nhi<|im_end|>\n<|image_pad|><|image_pad|> <tool_call> </TOOL_CALL> <|IM_START|>",
    "\u00a0non\u2003breaking\u2028spaces\u0085",
    "x" * 300,
)
_WRITTEN_TEXTS = st.lists(
    st.one_of(
        st.text(max_size=12), st.sampled_from([*"!,' \n", "'s", "dress ", BEGIN, END, "<|im_end|>", "<tool_call>"])
    ),
    max_size=8,
).map("".join)


def reference(folder: Path) -> PreTrainedTokenizerBase:
    kind = Qwen2Tokenizer if "Qwen2" in (folder / "tokenizer_config.json").read_text() else CLIPTokenizer
    return kind.from_pretrained(folder, local_files_only=True)


@pytest.fixture(scope="module", params=list(FOLDERS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FOLDERS[request.param](tmp_path_factory.mktemp("tokenizers") / "tokenizer")


def test_awkward_texts(folder: Path) -> None:
    ours, theirs = open_tokenizer(folder / "vocab.json"), reference(folder)
    for text in TEXTS:
        assert ours.encode(text, add_special_tokens=False).ids == theirs(text, add_special_tokens=False).input_ids, text


def test_any_text(folder: Path) -> None:
    ours, theirs = open_tokenizer(folder / "vocab.json"), reference(folder)

    @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(_WRITTEN_TEXTS)
    def same(text: str) -> None:
        assert ours.encode(text, add_special_tokens=False).ids == theirs(text, add_special_tokens=False).input_ids

    same()


def test_special_tokens(folder: Path) -> None:
    theirs = reference(folder)
    files = TokenizerFiles(ConfigFolders((folder.parent,)), folder.name)
    assert files.file == "tokenizer/vocab.json"
    ids = files.token_ids("bos_token", "eos_token", "pad_token")
    assert ids == (theirs.bos_token_id, theirs.eos_token_id, theirs.pad_token_id)


def test_a_silent_folder_has_the_special_tokens_of_its_kind(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "tokenizer", special_map=False)
    write(folder / "tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", "pad_token": None})
    files = TokenizerFiles(ConfigFolders((tmp_path,)), "tokenizer")
    assert files.token_ids("bos_token", "eos_token", "pad_token", "mask_token") == (744, 745, None, None)


@pytest.mark.parametrize("pad", [END, "!"])
def test_the_single_file_reads_texts_alike(pad: str, tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "tokenizer", pad=pad)
    reference(folder).save_pretrained(tmp_path / "single")
    whole, merged = open_tokenizer(tmp_path / "single" / "tokenizer.json"), open_tokenizer(folder / "vocab.json")
    for text in TEXTS:
        assert whole.encode(text, add_special_tokens=False).ids == merged.encode(text, add_special_tokens=False).ids


def test_a_special_token_of_the_vocabulary_stands_alone_in_the_single_file_too(tmp_path: Path) -> None:
    write_clip(tmp_path / "tokenizer")
    reference(tmp_path / "tokenizer").save_pretrained(tmp_path / "single")
    config = json.loads((tmp_path / "single" / "tokenizer_config.json").read_text())
    before = definition(tmp_path / "single" / "tokenizer.json")
    write(tmp_path / "single" / "tokenizer_config.json", {**config, "pad_token": "!"})
    ours, theirs = open_tokenizer(tmp_path / "single" / "tokenizer.json"), reference(tmp_path / "single")
    ids = ours.encode("a red dress!", add_special_tokens=False).ids
    assert ids == theirs("a red dress!", add_special_tokens=False).input_ids
    assert ids[-1] == 0
    assert definition(tmp_path / "single" / "tokenizer.json") != before


def test_without_a_class_the_merges_tell(tmp_path: Path) -> None:
    for written in (write_clip(tmp_path / "clip"), write_qwen2(tmp_path / "qwen2")):
        before = definition(written / "vocab.json")
        config = json.loads((written / "tokenizer_config.json").read_text())
        config.pop("tokenizer_class")
        write(written / "tokenizer_config.json", config)
        assert definition(written / "vocab.json") == before


def test_every_file_counts(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "tokenizer")
    before = definition(folder / "vocab.json")
    merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    (folder / "merges.txt").write_text("\n".join(merges[:-1]), encoding="utf-8")
    fewer = definition(folder / "vocab.json")
    write(folder / "special_tokens_map.json", {"pad_token": "!"})
    assert len({before, fewer, definition(folder / "vocab.json")}) == 3


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    files = TokenizerFiles(ConfigFolders((tmp_path,)), "tokenizer")
    folder = write_clip(tmp_path / "tokenizer")
    (folder / "merges.txt").unlink()
    with pytest.raises(
        ManifestError, match=r"merges\.txt is missing: .*tokenizer\.json, or vocab\.json and merges\.txt"
    ):
        files.token_ids("pad_token")
    (folder / "vocab.json").unlink()
    with pytest.raises(
        ManifestError, match=r"tokenizer\.json is missing: .*tokenizer\.json, or vocab\.json and merges"
    ):
        open_tokenizer(tmp_path / files.file)
    (folder / "spiece.model").touch()
    with pytest.raises(ManifestError, match=r"tokenizer\.json is missing: spiece\.model alone is not read"):
        open_tokenizer(tmp_path / files.file)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("vocab.json", "{", r"vocab\.json and merges\.txt are no tokenizer"),
        ("vocab.json", '{"a": 0}', r"vocab\.json and merges\.txt are no tokenizer"),
        ("vocab.json", '{"a": "b"}', r"vocab\.json and merges\.txt are no tokenizer"),
        ("merges.txt", "a b c\n", r"vocab\.json and merges\.txt are no tokenizer"),
        ("tokenizer_config.json", "[]", r"tokenizer_config\.json must hold a JSON object"),
        ("tokenizer_config.json", '{"tokenizer_class": "T5Tokenizer"}', r"tokenizer\.json is needed for a T5Tokenizer"),
        ("tokenizer_config.json", '{"pad_token": 3}', r"tokenizer_config\.json: pad_token must be a token, got 3"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": "y"}}', "added_tokens_decoder must be"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"1": "y"}}', "added_tokens_decoder must be"),
        ("added_tokens.json", '{"<new>": "a"}', r"added_tokens\.json must hold an object of ids by token"),
        ("added_tokens.json", '{"<new>": 7}', "'<new>' is declared with the id 7, its place is 746"),
        ("special_tokens_map.json", '{"bos_token": ["x"]}', r"special_tokens_map\.json: bos_token must be a token"),
    ],
)
def test_broken_files_are_named(file: str, content: str, message: str, tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "tokenizer")
    (folder / file).write_text(content, encoding="utf-8")
    with pytest.raises(ManifestError, match=message):
        open_tokenizer(folder / "vocab.json")


@pytest.mark.parametrize("content", ["{", "{}", '{"model": {}}', "[]"])
def test_a_broken_single_file_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ManifestError, match=r"tokenizer\.json is no tokenizer"):
        open_tokenizer(tmp_path / "tokenizer.json")


def test_the_single_file_goes_first(tmp_path: Path) -> None:
    write_clip(tmp_path / "tokenizer")
    reference(tmp_path / "tokenizer").save_pretrained(tmp_path / "other" / "tokenizer")
    both = ConfigFolders((tmp_path, tmp_path / "other"))
    assert TokenizerFiles(both, "tokenizer").file == "tokenizer/vocab.json", "the first root that has one"
    (tmp_path / "tokenizer" / "tokenizer.json").touch()
    assert TokenizerFiles(both, "tokenizer").file == "tokenizer/tokenizer.json"


def test_flags_of_added_tokens_count(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "tokenizer")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    tokens = {"744": flags(BEGIN), "745": flags(END), "746": flags("<Word>", single_word=True, rstrip=True)}
    write(folder / "tokenizer_config.json", {**config, "added_tokens_decoder": tokens})
    ours, theirs = open_tokenizer(folder / "vocab.json"), reference(folder)
    for text in ("a <Word> b", "a<Word>b", "a <word> b", "<Word>   b"):
        ids = ours.encode(text, add_special_tokens=False).ids
        assert ids == theirs(text, add_special_tokens=False).input_ids
    assert 746 in ours.encode("a <Word> b", add_special_tokens=False).ids
