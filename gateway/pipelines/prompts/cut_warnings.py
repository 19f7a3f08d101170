"""Prompts that a model does not read to their end."""

import logging

from gateway.pipelines.prompts.tokenizer import TokenizedPrompt

logger = logging.getLogger(__name__)


def cut_warnings(positive: TokenizedPrompt, negative: TokenizedPrompt) -> tuple[str, ...]:
    """One sentence for each prompt that lost its end, logged too."""
    sentences = tuple(
        f"{field} was cut: the model reads {tokens.kept} tokens and the last {tokens.dropped} had no effect"
        for field, tokens in (("prompt", positive), ("negative_prompt", negative))
        if tokens.dropped
    )
    for sentence in sentences:
        logger.warning(sentence)
    return sentences
