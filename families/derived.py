"""Conditions that follow from sizes alone, such as positions and size embeddings: computed where the step engine is."""

from collections.abc import Callable
from dataclasses import dataclass

from families.manifest import ModelManifest
from families.tensors import NamedTensor


@dataclass(frozen=True, slots=True)
class Layout:
    """What lies in a denoiser's call: the latents, the text and the references (height, width), all in cells."""

    latent_height: int
    latent_width: int
    text_length: int
    references: tuple[tuple[int, int], ...] = ()


Derive = Callable[[ModelManifest, Layout], tuple[NamedTensor, ...]]
"""Each tensor [1, ...], in the order in which the denoiser's signature ends."""


def nothing(_manifest: ModelManifest, _layout: Layout) -> tuple[NamedTensor, ...]:
    """For families whose denoiser needs no more than it is given."""
    return ()
