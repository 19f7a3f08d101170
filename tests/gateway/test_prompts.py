"""Prompts as users write them: weights, pieces, and what the text encoder is given."""

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from families.batching import PROMPT_PIECES
from families.catalog import load_source
from families.manifest import PromptRule
from gateway.pipelines.prompts import PromptPiece, PromptTokenizer
from gateway.pipelines.prompts.pieces import cut
from gateway.pipelines.prompts.weighting import parse_weights
from tests.gateway.model_folder import WARDROBE

SOURCE = load_source(WARDROBE)
(RULE,) = SOURCE.manifest.prompts
ROOM = RULE.length - 2


def weighted(prompt: str) -> list[tuple[str, float]]:
    return [(part.text, round(part.weight, 6)) for part in parse_weights(prompt)]


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("", [("", 1)]),
        ("a red dress", [("a red dress", 1)]),
        ("a (red:1.5) dress", [("a ", 1), ("red", 1.5), (" dress", 1)]),
        ("(red)", [("red", 1.1)]),
        ("[red]", [("red", round(1 / 1.1, 6))]),
        ("((red))", [("red", 1.21)]),
        ("[(red)]", [("red", 1)]),
        ("(a (b:1.5) c:2)", [("a ", 2), ("b", 3), (" c", 2)]),
        ("(a [b] c:1.1)", [("a ", 1.1), ("b", 1), (" c", 1.1)]),
        ("(red : .5 )", [("red ", 0.5)]),
        ("(red:-1)(blue:+2.)", [("red", -1), ("blue", 2)]),
        ("(red:0)", [("red", 0)]),
        ("(red:1000) (blue:-1e9)", [("red", 10), (" ", 1), ("blue:-1e9", 1.1)]),
    ],
)
def test_weights(prompt: str, parts: list[tuple[str, float]]) -> None:
    assert weighted(prompt) == parts


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (r"a smile \(happy\)", "a smile (happy)"),
        (r"\[x\] \\ \a", r"[x] \ \a"),
        ("a (red dress", "a (red dress"),
        ("a red) dress :)", "a red) dress :)"),
        ("((", "(("),
        ("red:1.5)", "red:1.5)"),
        ("]red[", "]red["),
    ],
)
def test_what_is_no_weight_is_text(prompt: str, text: str) -> None:
    assert weighted(prompt) == [(text, 1)]


def test_brackets_that_cross_leave_one_pair() -> None:
    assert weighted("(a [b) c]") == [("a [b", 1.1), (" c]", 1)]
    assert weighted("(a [b:1.5) c") == [("a [b", 1.5), (" c", 1)]
    assert weighted("[red:1.5)") == [("[red:1.5)", 1)]
    assert weighted("(red:1.5]") == [("(red:1.5]", 1)]


@given(st.text(alphabet="ab ()[]\\:.15,", max_size=60))
def test_any_text_is_a_prompt_and_only_marks_are_lost(prompt: str) -> None:
    parts = parse_weights(prompt)
    kept = iter(prompt)
    assert all(letter in kept for part in parts for letter in part.text)
    assert all(-10 <= part.weight <= 10 for part in parts)
    if not set(prompt) & set("()[]\\"):
        assert weighted(prompt) == [(prompt, 1)]


@pytest.mark.parametrize("prompt", ["(" * 16000 + ")" * 16000, "([" * 8000 + ")" * 16000, "[" * 16000 + ")" * 16000])
def test_time_is_linear(prompt: str) -> None:
    begun = time.process_time()
    parse_weights(prompt)
    assert time.process_time() - begun < 10


def test_pieces_end_at_the_last_comma_near_their_end() -> None:
    no = [False] * 20
    assert cut(no, 8, 4) == (slice(0, 8), slice(8, 16), slice(16, 20))
    assert cut([], 8, 4) == (slice(0, 0),)
    commas = [place in (1, 6, 7 + 3) for place in range(20)]
    assert cut(commas, 8, 4) == (slice(0, 7), slice(7, 15), slice(15, 20)), "a comma far from the end does not count"
    assert cut(commas, 8, 2) == (slice(0, 7), slice(7, 15)), "and what is beyond is cut"
    assert cut(commas, 8, 1) == (slice(0, 8),), "the only piece is filled"
    assert cut(commas[:8], 8, 4) == (slice(0, 8),), "what fits is not cut"


@given(st.lists(st.booleans(), max_size=50), st.integers(1, 9), st.integers(1, 5))
def test_pieces_follow_each_other(commas: list[bool], room: int, most: int) -> None:
    pieces = cut(commas, room, most)
    assert 1 <= len(pieces) <= most
    assert pieces[0].start == 0
    assert all(before.stop == after.start for before, after in pairwise(pieces))
    assert all(piece.stop - piece.start <= room for piece in pieces)
    assert pieces[-1].stop == len(commas) or len(pieces) == most


@pytest.fixture
def tokenizer() -> PromptTokenizer:
    return PromptTokenizer(SOURCE.tokenizer_files, SOURCE.manifest.prompts)


def ids(piece: PromptPiece) -> list[int]:
    return [int(token) for token in piece.tokens[0].array[0]]


def content(piece: PromptPiece) -> list[int]:
    """The text's own tokens."""
    row = ids(piece)
    assert row[0] == RULE.begin_id
    assert RULE.end_id is not None
    return row[1 : row.index(RULE.end_id)]


def test_a_short_prompt_is_one_piece(tokenizer: PromptTokenizer) -> None:
    read = tokenizer.encode("a red dress")
    (piece,) = read.pieces
    assert (read.kept, read.dropped, piece.weights) == (len(content(piece)), 0, None)
    assert len(ids(piece)) == RULE.length
    assert piece.tokens[0].name == RULE.input
    assert content(tokenizer.empty) == []


def test_a_long_prompt_loses_nothing(tokenizer: PromptTokenizer) -> None:
    words = " ".join(["red", "blue"] * 75)
    read = tokenizer.encode(words)
    one = content(tokenizer.encode("red blue").pieces[0])
    assert [token for piece in read.pieces for token in content(piece)] == one * 75
    assert [len(content(piece)) for piece in read.pieces] == [ROOM, ROOM, 150 - 2 * ROOM]
    assert (read.kept, read.dropped) == (150, 0)


def test_a_comma_ends_a_piece(tokenizer: PromptTokenizer) -> None:
    read = tokenizer.encode("red " * (ROOM - 5) + ", " + "blue " * 20)
    assert [len(content(piece)) for piece in read.pieces] == [ROOM - 4, 20]


def test_beyond_the_last_piece_is_cut(tokenizer: PromptTokenizer) -> None:
    read = tokenizer.encode("red " * 1000)
    assert len(read.pieces) == PROMPT_PIECES
    assert (read.kept, read.dropped) == (PROMPT_PIECES * ROOM, 1000 - PROMPT_PIECES * ROOM)


def test_weights_stand_at_their_tokens(tokenizer: PromptTokenizer) -> None:
    plain, marked = (tokenizer.encode(text).pieces[0] for text in ("a red dress", "a (red:1.5) dress"))
    assert ids(plain) == ids(marked), "the text encoder never sees a weight"
    assert marked.weights is not None
    assert marked.weights.dtype == np.float32
    assert marked.weights.tolist() == [1, 1, 1.5, 1, *[1] * (RULE.length - 4)]
    assert tokenizer.encode("a (red:1) dress").pieces[0].weights is None


def test_weights_go_on_in_the_next_piece(tokenizer: PromptTokenizer) -> None:
    first, second = tokenizer.encode("red " * (ROOM - 1) + "(blue green:2)").pieces
    assert first.weights is not None
    assert second.weights is not None
    assert first.weights[[0, 1, ROOM - 1, ROOM, ROOM + 1]].tolist() == [1, 1, 1, 2, 1]
    assert second.weights[:3].tolist() == [1, 2, 1]


def test_families_without_pieces_read_brackets_as_text() -> None:
    tokenizer = PromptTokenizer(SOURCE.tokenizer_files, [replace(RULE, chunked=False)])
    read = tokenizer.encode("(red:1.5) " + "blue " * 100)
    (piece,) = read.pieces
    assert piece.weights is None
    assert read.dropped > 0
    assert len(content(piece)) == ROOM
    assert content(piece)[:1] == content(tokenizer.encode("(").pieces[0])


def test_templates_hold_the_text() -> None:
    rule = replace(RULE, chunked=False, template="a man: {} dress", mask="mask")
    tokenizer = PromptTokenizer(SOURCE.tokenizer_files, [rule])
    (piece,) = tokenizer.encode("red").pieces
    (expected,) = PromptTokenizer(SOURCE.tokenizer_files, [RULE]).encode("a man: red dress").pieces
    assert ids(piece) == ids(expected)
    assert [tensor.name for tensor in piece.tokens] == [RULE.input, "mask"]
    assert piece.tokens[1].array.sum() == len(content(piece)) + 2


def test_tokenizers_that_count_differently_are_read_side_by_side() -> None:
    rules = (RULE, PromptRule(ROOM // 2, RULE.begin_id, RULE.end_id, 0, input="input_ids_2", chunked=True))
    tokenizer = PromptTokenizer(SOURCE.tokenizer_files * 2, rules)
    read = tokenizer.encode("red " * (ROOM + 1))
    assert [[tensor.name for tensor in piece.tokens] for piece in read.pieces] == [["input_ids", "input_ids_2"]] * 3
    assert ids(read.pieces[2]) == ids(tokenizer.empty)
    assert (read.kept, read.dropped) == (ROOM + 1, 0)
