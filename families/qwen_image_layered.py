"""The Qwen-Image-Layered family: Qwen-Image that takes one RGBA picture apart, into layers which lie on one another.

The latents are frames of one size, one above the other: the picture as a whole, then its layers from the bottom to the
top. The picture that is taken apart comes as the one reference. Reads the JSON files of a diffusers pipeline; no
weights are opened.
"""

import dataclasses

import numpy as np

from families.card import read_card
from families.derived import Layout
from families.layer_card import layer_rule
from families.manifest import REFERENCE, FlowRule, ModelManifest, MuRule, ReferenceRule
from families.qwen_image import diagonal, grid, read_pipeline, turned
from families.qwen_image_edit import with_references
from families.sources.configs import ConfigFolders
from families.tensors import NamedTensor

FAMILY = "qwen-image-layered"
PIPELINE_CLASSES = frozenset({"QwenImageLayeredPipeline"})

_MINIMUM_SIDE = 32
"""A long picture of a small area has a short side."""
_BASE_TOKENS = 256
"""Those of a picture of 256 x 256 pixels, to which the time shift's square root is relative; no configuration says."""
_PICTURE = -1
"""The number of the picture that is taken apart; frames count from 0."""


def load_manifest(configs: ConfigFolders, name: str) -> ModelManifest:
    """Describe a pipeline under the name `name`. Raises ManifestError naming what is missing or not supported."""
    base, rule = read_pipeline(configs, name, layered=True), layer_rule(configs)
    side = read_card(configs).default_side or rule.resolutions[0]
    size = dataclasses.replace(base.size, minimum=_MINIMUM_SIDE, default_width=side, default_height=side)
    flow = base.noise.flow
    return dataclasses.replace(
        base,
        family=FAMILY,
        noise=dataclasses.replace(base.noise, flow=flow and _shifted(flow)),
        size=size,
        denoiser=with_references(base.denoiser),
        references=ReferenceRule(1, side * side, rule.multiple),
        layers=rule,
    )


def _shifted(flow: FlowRule) -> FlowRule:
    """Where the schedule follows the picture's size, by this family's own rule."""
    if flow.mu is MuRule.FIXED:
        return flow
    return dataclasses.replace(flow, mu=MuRule.SQUARE_ROOT, base_tokens=_BASE_TOKENS)


def derive(manifest: ModelManifest, layout: Layout) -> tuple[NamedTensor, ...]:
    """As Qwen-Image-Edit's: frames are numbered from 0, the picture that is taken apart is number -1.

    The text stands beyond the larger side and beyond the number of frames. Raises ValueError unless there is one
    reference, as large as each of the frames.
    """
    half = int(manifest.denoiser.inputs[-1].dims[-1])
    ((rows, columns),) = layout.references
    frames, rest = divmod(layout.latent_height, rows)
    if rest or columns != layout.latent_width:
        raise ValueError(f"{layout.latent_height}x{layout.latent_width} cells are no frames of {rows}x{columns}")
    stacked = np.concatenate([grid(number, rows, columns) for number in range(frames)])
    return (
        *turned("latent", stacked, half),
        *turned(REFERENCE, grid(_PICTURE, rows, columns).reshape(-1, 3), half),
        *turned("text", diagonal(max(rows // 2, columns // 2, frames), layout.text_length), half),
    )
