"""Prompts of CLIP text encoders: begin, at most 75 tokens, end, padding; longer ones in several pieces."""

from typing import Any

from families.manifest import PromptRule
from families.special_tokens import TokenizerFiles


def clip_prompt_rule(tokenizer: TokenizerFiles, text: dict[str, Any], input_name: str = "input_ids") -> PromptRule:
    """Special tokens as the tokenizer declares them, else as the text encoder's configuration `text` does.

    The tokenizer goes first: CLIP's published text encoders declare 0 and 2, which their tokenizers do not use.
    Padding is the end token unless another one is declared. Raises ManifestError.
    """
    begin, end, pad = tokenizer.token_ids("bos_token", "eos_token", "pad_token")
    begin = int(text["bos_token_id"]) if begin is None else begin
    end = int(text["eos_token_id"]) if end is None else end
    return PromptRule(
        length=int(text["max_position_embeddings"]),
        begin_id=begin,
        end_id=end,
        pad_id=end if pad is None else pad,
        input=input_name,
        file=tokenizer.file,
        chunked=True,
    )
