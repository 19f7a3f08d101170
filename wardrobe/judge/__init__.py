"""A small classifier that reads a picture's attributes back, independent of the generative models."""

from wardrobe.judge.judge import Judge
from wardrobe.judge.reading import Reading, reading_of

__all__ = ["Judge", "Reading", "reading_of"]
