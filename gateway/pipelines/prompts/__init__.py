"""Prompts as users write them, to the text encoder's inputs: weights, tokens, pieces."""

from gateway.pipelines.prompts.cut_warnings import cut_warnings
from gateway.pipelines.prompts.pictures import ShownPictures, show
from gateway.pipelines.prompts.tokenizer import PromptPiece, PromptTokenizer, TokenizedPrompt

__all__ = ["PromptPiece", "PromptTokenizer", "ShownPictures", "TokenizedPrompt", "cut_warnings", "show"]
