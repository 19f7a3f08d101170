"""Pieces of prompts become the denoiser's conditions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from families.catalog import load_source
from families.manifest import ModelManifest
from families.tensors import DType, NamedTensor, TensorSpec
from gateway.adapters.prometheus import PrometheusTelemetry
from gateway.domain.backend import Lora, Release, Tokens
from gateway.pipelines.conditions import prompt_conditions, weigh
from gateway.pipelines.embedding_cache import EmbeddingCache
from gateway.pipelines.models import ServedModel
from gateway.pipelines.prompts import PromptTokenizer
from tests.gateway.fake_backend import FakeBackend
from tests.gateway.model_folder import WARDROBE

SOURCE = load_source(WARDROBE)
LENGTH = SOURCE.manifest.prompts[0].length
RELEASE = Release("wardrobe", "1")
WIDTH = 3
LONG = "red " * (2 * LENGTH)


@dataclass
class Encoder(FakeBackend):
    """Contexts and a pooled vector that tell which row they are of."""

    async def encode_text(
        self, release: Release, tokens: Tokens, *, deterministic: bool, loras: tuple[Lora, ...] = ()
    ) -> tuple[NamedTensor, ...]:
        ids = tokens[0].array.astype(np.float32)
        self.encoded.append(len(ids))
        context = np.stack([ids + 1, ids * 2, ids + 7], axis=2)
        return NamedTensor("context", context), NamedTensor("text_embeds", ids[:, :5].copy())


def model(*, zero: bool = False) -> ServedModel:
    manifest = SOURCE.manifest
    pooled = TensorSpec("text_embeds", DType.FP32, (5,))
    denoiser = replace(manifest.denoiser, inputs=(*manifest.denoiser.inputs, pooled))
    changed: ModelManifest = replace(manifest, denoiser=denoiser, empty_negative_is_zero=zero)
    return ServedModel(changed, PromptTokenizer(SOURCE.tokenizer_files, changed.prompts), 0)


async def conditions(
    prompts: Sequence[str], *, encoder: Encoder | None = None, zero: bool = False
) -> dict[str, np.ndarray]:
    served = model(zero=zero)
    cache = EmbeddingCache(encoder or Encoder(), 1 << 20, PrometheusTelemetry())
    read = [served.tokenizer.encode(text) for text in prompts]
    tensors = await prompt_conditions(cache, served, RELEASE, read, deterministic=False)
    return {tensor.name: tensor.array for tensor in tensors}


async def test_short_prompts_are_the_encoders_rows() -> None:
    got = await conditions(["a man", "a red dress"])
    assert got["context"].shape == (2, LENGTH, WIDTH)
    assert not np.array_equal(got["context"][0], got["context"][1])


async def test_a_long_prompt_is_joined_and_the_other_filled_up() -> None:
    got = await conditions(["a man", LONG])
    alone, empty = await conditions(["a man"]), await conditions([""])
    assert got["context"].shape == (2, 3 * LENGTH, WIDTH)
    assert np.array_equal(got["context"][0, :LENGTH], alone["context"][0])
    assert np.array_equal(got["context"][0, LENGTH:], np.concatenate([empty["context"][0]] * 2))
    pieces = model().tokenizer.encode(LONG).pieces
    ids = np.concatenate([piece.tokens[0].array[0] for piece in pieces])
    assert np.array_equal(got["context"][1, :, 0], ids + 1)
    assert got["text_embeds"].shape == (2, 5), "the pooled vector is the first piece's"
    assert np.array_equal(got["text_embeds"][0], alone["text_embeds"][0])


async def test_a_long_negative_prompt_fills_up_the_positive_one() -> None:
    got = await conditions([LONG, "a man"])
    swapped = await conditions(["a man", LONG])
    assert np.array_equal(got["context"], swapped["context"][::-1])


async def test_weights_act_after_the_cache() -> None:
    encoder = Encoder()
    served = model()
    cache = EmbeddingCache(encoder, 1 << 20, PrometheusTelemetry())
    rows = []
    for text in ("a red dress", "a (red:1.5) dress", "a (red:0.5) dress", "a red dress"):
        (context, _) = await prompt_conditions(
            cache, served, RELEASE, [served.tokenizer.encode(text)], deterministic=False
        )
        rows.append(context.array[0])
    assert encoder.encoded == [1]
    assert np.array_equal(rows[0], rows[3])
    for row, weight in ((rows[1], 1.5), (rows[2], 0.5)):
        factors = row / rows[0]
        assert np.allclose(factors[2] / factors[1], weight)
        assert np.allclose(factors[3:], factors[1])
        assert row.mean() == pytest.approx(rows[0].mean(), rel=1e-5)


async def test_each_piece_keeps_its_own_mean() -> None:
    got = await conditions(["(" + LONG + ":1.5)" + " (blue:2)"])
    plain = await conditions([LONG + " blue"])
    for start in range(0, 3 * LENGTH, LENGTH):
        piece = slice(start, start + LENGTH)
        assert got["context"][0, piece].mean() == pytest.approx(plain["context"][0, piece].mean(), rel=1e-5)
    assert not np.allclose(got["context"], plain["context"])


@pytest.mark.parametrize("negative", ["", "  "])
async def test_an_empty_negative_prompt_may_mean_zeros(negative: str) -> None:
    encoder = Encoder()
    got = await conditions([negative, LONG], encoder=encoder, zero=True)
    positive = await conditions([LONG])
    assert encoder.encoded == [2], "the two different pieces of the prompt, and nothing of the other"
    for name, array in got.items():
        assert not array[0].any()
        assert np.array_equal(array[1], positive[name][0])


async def test_other_negative_prompts_and_a_prompt_alone_are_encoded() -> None:
    for prompts in (["a man", ""], [""]):
        got, expected = await conditions(prompts, zero=True), await conditions(prompts)
        assert all(np.array_equal(got[name], expected[name]) for name in expected)


def test_a_mean_that_is_rounding_is_left_alone() -> None:
    random = np.random.default_rng(0)
    context = random.standard_normal((8, 400)).astype(np.float32)
    context -= context.mean(axis=1, keepdims=True)  # as a layer norm leaves it
    weights = np.array([1, 1.5, 1, 1, 1, 1, 1, 1], dtype=np.float32)
    assert np.array_equal(weigh(context, weights), context * weights[:, None])


def test_a_mean_never_turns_the_context_round() -> None:
    context = np.array([[3.0, 3.0], [-2.0, -2.0]], dtype=np.float32)
    assert np.array_equal(weigh(context, np.array([0.5, 1], dtype=np.float32)), context * [[0.5], [1]])
    assert not weigh(context, np.zeros(2, dtype=np.float32)).any()
