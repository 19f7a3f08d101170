"""Weights files as torch modules, whatever their format and naming: nothing missing and nothing left over."""

from engine.checkpoints.open import Alter, open_part, own_memory

__all__ = ["Alter", "open_part", "own_memory"]
