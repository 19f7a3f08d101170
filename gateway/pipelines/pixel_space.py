"""Latents of models that have no autoencoder: their latents are the pixels themselves, -1 to 1."""

import numpy as np

from gateway.domain.backend import Latents, Pixels


def to_latents(pixels: Pixels) -> Latents:
    """[n, height, width, 3] -> [n, 3, height, width]."""
    latents: Latents = pixels.astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1
    return latents


def to_pixels(latents: Latents) -> Pixels:
    """The inverse; what lies beyond -1 and 1 is cut."""
    unit = np.clip(latents / 2 + 0.5, 0, 1).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(np.rint(unit * 255).astype(np.uint8))
