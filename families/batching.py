"""How many rows one call of a component may carry.

Three sides read it: the export writes it into `config.pbtxt` and the engines' shape profiles, the gateway splits
larger calls by it, and deterministic calls are padded to it, so that no stranger's rows join the batch and its shape,
hence the arithmetic, is always the same.
"""

from collections.abc import Mapping
from types import MappingProxyType

from families.manifest import Component

MAX_BATCH: Mapping[Component, int] = MappingProxyType(
    {Component.TEXT_ENCODER: 16, Component.VAE_ENCODER: 4, Component.VAE_DECODER: 4}
)
"""Of the components which are called once a request."""

SHORTEST_TEXT = 64
"""Tokens of the shortest text that a denoiser is given where padding is cut off; longer ones have twice as many, or
four times, and so on."""
PROMPT_PIECES = 4
"""Pieces that a long prompt may be read in, by models that can; what is longer is cut."""
MAX_ROWS = 16
"""Hard limit of one denoiser batch at a model's default size; guidance takes two rows an image."""
QUEUE_IMAGES = 64
"""Images that a step engine holds, waiting or in flight."""
DETERMINISTIC_ROWS = 2
"""The fixed denoiser batch of deterministic requests: one guided image. Triton's engine and the one in the gateway's
process must agree on it, or their bytes would differ; where rows ride for free (a GPU), a larger one pays."""
