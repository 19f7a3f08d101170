"""What the denoiser is told of a request's prompts: their pieces encoded, weighed and joined."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from families.manifest import ModelManifest
from families.tensors import DType, NamedTensor
from gateway.domain.backend import Lora, Release
from gateway.pipelines.embedding_cache import EmbeddingCache, Row
from gateway.pipelines.models import ServedModel
from gateway.pipelines.prompts import PromptPiece, TokenizedPrompt
from gateway.pipelines.trim import without_padding

_TEXT_LENGTH = "text_length"
"""The denoiser's axis of a prompt's tokens."""
_NO_MEAN = 1e-2
"""A mean smaller than this share of the mean size of the numbers is their rounding, and cannot be restored."""


async def prompt_conditions(
    embeddings: EmbeddingCache,
    model: ServedModel,
    release: Release,
    prompts: Sequence[TokenizedPrompt],
    *,
    deterministic: bool,
    loras: tuple[Lora, ...] = (),
) -> tuple[NamedTensor, ...]:
    """The text encoder's conditions, one row a prompt: the positive one, which is the last, or negative and positive.

    Every prompt is as long as the longest, filled up with pieces of the empty text. Pieces are encoded as they are and
    weighed afterwards, so that the cache knows nothing of weights.
    """
    count = max(len(prompt.pieces) for prompt in prompts)
    filled = [(*prompt.pieces, *[model.tokenizer.empty] * (count - len(prompt.pieces))) for prompt in prompts]
    # What an empty negative prompt means is zeros where the model was trained so; there is nothing to encode.
    is_zero = len(prompts) > 1 and model.manifest.empty_negative_is_zero and prompts[0].kept == 0
    asked = filled[1:] if is_zero else filled
    encoded = await embeddings.conditions(
        release, [piece.tokens for pieces in asked for piece in pieces], deterministic=deterministic, loras=loras
    )
    if count > 1 or any(piece.weights is not None for pieces in asked for piece in pieces):
        encoded = _weighed_and_joined(model.manifest, encoded, asked)
    if is_zero:
        encoded = tuple(
            NamedTensor(tensor.name, np.concatenate([np.zeros_like(tensor.array), tensor.array])) for tensor in encoded
        )
    return without_padding(model.manifest, encoded)


def _weighed_and_joined(manifest: ModelManifest, encoded: Row, prompts: Sequence[Sequence[PromptPiece]]) -> Row:
    """`encoded`: every prompt's pieces one after another. What is no sequence of tokens is the first piece's."""
    sequences = {spec.name: spec for spec in manifest.denoiser.inputs if spec.dims[:1] == (_TEXT_LENGTH,)}
    count = len(prompts[0])
    tensors = []
    for tensor in encoded:
        spec = sequences.get(tensor.name)
        if spec is None:
            tensors.append(NamedTensor(tensor.name, tensor.array[::count]))
            continue
        rows = list(tensor.array)
        if spec.dtype is DType.FP32:
            contexts = tensor.array.astype(np.float32, copy=False)
            rows = [weigh(row, piece.weights) for row, piece in zip(contexts, _flat(prompts), strict=True)]
        joined = [np.concatenate(rows[start : start + count]) for start in range(0, len(rows), count)]
        tensors.append(NamedTensor(tensor.name, np.stack(joined)))
    return tuple(tensors)


def weigh(context: npt.NDArray[np.float32], weights: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    """`context` [tokens, width] times `weights` [tokens], scaled so that its mean stays what it was."""
    if weights is None:
        return context
    weighed = context * weights[:, None]
    before, after = context.mean(dtype=np.float64), weighed.mean(dtype=np.float64)
    if before * after <= 0 or min(abs(before), abs(after)) < _NO_MEAN * np.abs(context).mean(dtype=np.float64):
        return weighed
    restored: npt.NDArray[np.float32] = (weighed * (before / after)).astype(np.float32)
    return restored


def _flat(prompts: Sequence[Sequence[PromptPiece]]) -> list[PromptPiece]:
    return [piece for pieces in prompts for piece in pieces]
