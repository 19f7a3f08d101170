"""Measuring generated pictures against what was asked for."""

from wardrobe.evaluation.captions import HeldOut, heldout_captions
from wardrobe.evaluation.score import Scores, evaluate, score
from wardrobe.evaluation.sheet import contact_sheet

__all__ = ["HeldOut", "Scores", "contact_sheet", "evaluate", "heldout_captions", "score"]
