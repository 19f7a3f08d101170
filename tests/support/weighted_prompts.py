"""Long and weighted prompts once more, in the plainest way, on the tokenizers and encoders of a diffusers pipeline.

Shares nothing with the gateway's: the weights are given beside the words instead of being read out of a text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

ROOM = 75
_LAST_QUARTER = 18

Words = Sequence[tuple[str, float]]
"""Parts of a prompt and their weights."""


@dataclass(frozen=True)
class Encoder:
    """A tokenizer and its text encoder. `layer`: whose hidden states are the context; None: the last, normalised."""

    tokenizer: PreTrainedTokenizerBase
    model: nn.Module
    layer: int | None = None


@dataclass(frozen=True)
class Embeds:
    """`context` [1, pieces * 77, D]; `pooled` [1, P] of the first piece."""

    context: torch.Tensor
    pooled: torch.Tensor


def marked(words: Words) -> str:
    """The prompt as a user would write it."""
    return " ".join(text if weight == 1 else f"({text}:{weight})" for text, weight in words)


def pieces_of(encoder: Encoder, words: Words) -> list[list[tuple[int, float]]]:
    tokens = [
        (token, weight)
        for text, weight in words
        for token in encoder.tokenizer(text, add_special_tokens=False).input_ids
    ]
    (comma,) = encoder.tokenizer(",", add_special_tokens=False).input_ids
    pieces = []
    while len(tokens) > ROOM:
        size = ROOM
        for back in range(_LAST_QUARTER):
            if tokens[ROOM - 1 - back][0] == comma:
                size = ROOM - back
                break
        pieces.append(tokens[:size])
        tokens = tokens[size:]
    return [*pieces, tokens]


@torch.inference_mode()
def encode(encoders: Sequence[Encoder], words: Words, count: int) -> Embeds:
    """`count` pieces, empty ones at the end."""
    cut = [pieces_of(encoder, words) for encoder in encoders]
    contexts, pooled = [], []
    for index in range(count):
        answers, weights = [], torch.ones(77)
        for encoder, pieces in zip(encoders, cut, strict=True):
            piece = pieces[index] if index < len(pieces) else []
            tokenizer = encoder.tokenizer
            ids = [tokenizer.bos_token_id, *(token for token, _ in piece), tokenizer.eos_token_id]
            ids += [tokenizer.pad_token_id] * (77 - len(ids))
            weights[1 : 1 + len(piece)] = torch.tensor([weight for _, weight in piece])
            answer = encoder.model(torch.tensor([ids]), output_hidden_states=True)
            answers.append(answer[0] if encoder.layer is None else answer.hidden_states[encoder.layer])
        pooled.append(answer[0])
        context = torch.cat(answers, dim=-1)
        weighed = context * weights[:, None]
        contexts.append(weighed * (context.mean() / weighed.mean()))
    return Embeds(torch.cat(contexts, dim=1), pooled[0])
