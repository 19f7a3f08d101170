"""The same pictures twice: all in torch, and with one component replaced by its artefact."""

import io
from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import nn

from engine.modules.pixels import to_pixels
from export.verification.compare import Compared, compare_pictures
from export.verification.given import Given, Load, people_given, prompts_given
from export.verification.report import Check, Comparison, Picture, Tolerance
from export.verification.threads import threads_for, torch_threads
from export.verification.trajectory import denoise, drawn
from families.catalog import ModelSource
from families.manifest import Component

PROMPTS = ("a woman with red hair in a striped blue dress", "man, green shirt, black trousers, plain grey background")
STEPS = 6
SEED = 20
_SHOWN_SIDE = 256


class EndToEnd:
    """Draws two prompts from fixed noise in a few steps; torch's own pictures only once.

    `load` gives a component's torch module.
    """

    def __init__(self, source: ModelSource, load: Callable[[Component], nn.Module]) -> None:
        self._source = source
        self._load = load

    @cached_property
    def reference(self) -> torch.Tensor:
        """The pictures of torch alone, uint8 [B, H, W, C]."""
        return self.draw({})

    def draw(self, artefacts: Mapping[Component, nn.Module]) -> torch.Tensor:
        """The pictures with these components in place of torch's, uint8 [B, H, W, C]."""
        manifest = self._source.manifest

        def load(component: Component) -> nn.Module:
            return artefacts.get(component) or self._load(component)

        with torch.inference_mode():
            given = self._given(load)
            denoiser = load(Component.DENOISER)
            with torch_threads(threads_for(denoiser)):
                run = denoise(denoiser, manifest, given.positive, self._noise(), STEPS, guidance=given.guidance)
            del denoiser
            final = drawn(manifest, run.final)
            if Component.VAE_DECODER not in manifest.components:
                return to_pixels(final)
            pixels: torch.Tensor = load(Component.VAE_DECODER)(final)
        return pixels

    def check(self, pixels: torch.Tensor, tolerance: Tolerance) -> Check:
        """Pictures against torch's own."""
        of = Compared(f"{len(PROMPTS)} pictures, {STEPS} steps, seed {SEED}", "pixels", Comparison.END_TO_END)
        return compare_pictures(of, pixels.numpy(), self.reference.numpy(), tolerance)

    def pictures(self, pixels: torch.Tensor) -> tuple[Picture, ...]:
        """Torch's pictures, the artefact's, and where they differ, for the page."""
        made = []
        for index, prompt in enumerate(PROMPTS):
            wanted, got = self.reference[index].numpy(), pixels[index].numpy()
            difference = np.abs(wanted.astype(np.int16) - got.astype(np.int16))
            shown = np.minimum(difference * 16, 255).astype(np.uint8)
            for label, image in (("torch", wanted), ("artefact", got), ("difference x 16", shown)):
                made.append(Picture(f"{prompt}: {label}", _png(image)))
        return tuple(made)

    def _given(self, load: Load) -> Given:
        manifest = self._source.manifest
        if manifest.try_on is None:
            return prompts_given(self._source, PROMPTS, load)
        size = (manifest.size.default_height, manifest.size.default_width)
        return people_given(manifest, len(PROMPTS), size, load)

    def _noise(self) -> torch.Tensor:
        manifest = self._source.manifest
        generator = torch.Generator().manual_seed(SEED)
        shape = (len(PROMPTS), manifest.latent.channels, *manifest.default_latent_size)
        return torch.randn(shape, generator=generator)


def _png(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    """[H, W, 3 or 4] as a PNG that is not larger than a page shows; differences of the alpha would hide the others."""
    image = Image.fromarray(pixels[..., :3])
    image.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
