"""FASHN VTON: a flow model that dresses people in pixels, without autoencoder and without text.

Its size is fixed. It is told of the person without her clothes, her pose, the garment, the pose of whoever wears it and
the garment's category. Reads JSON files; no weights are opened.
"""

from collections.abc import Mapping
from types import MappingProxyType

from families.card import read_card
from families.flow import flow_schedule
from families.manifest import (
    Component,
    GuidanceKind,
    LatentKind,
    LatentLayout,
    ModelManifest,
    MuRule,
    SamplingDefaults,
    SizeRule,
)
from families.schedulers import SchedulerName
from families.sources.configs import ConfigFolders
from families.tensors import ComponentSignature, DType, TensorSpec
from families.try_on_rule import TryOnCondition, TryOnPart, TryOnRule

FAMILY = "fashn-vton"
PIPELINE_CLASSES: frozenset[str] = frozenset()
"""It is published as one weights file."""
PARTS: Mapping[Component, tuple[str, ...]] = MappingProxyType({Component.DENOISER: ("transformer",)})

# What its authors call balanced; 20 steps are fast and 50 are best.
_DEFAULTS = SamplingDefaults(steps=30, guidance_scale=1.5, scheduler=SchedulerName.FLOW_MATCH_EULER.value)
_RULE = TryOnRule(
    conditions=(
        TryOnCondition("agnostic", (TryOnPart.PERSON,)),
        TryOnCondition("person_pose", (TryOnPart.PERSON_POSE,)),
        TryOnCondition("garment", (TryOnPart.GARMENT,)),
        TryOnCondition("garment_pose", (TryOnPart.GARMENT_POSE,)),
        TryOnCondition("category", (TryOnPart.CATEGORY,)),
    ),
    dropped=(
        TryOnPart.PERSON,
        TryOnPart.PERSON_POSE,
        TryOnPart.GARMENT,
        TryOnPart.GARMENT_POSE,
        TryOnPart.CATEGORY,
    ),
    hidden_level=127,
    # With guidance to the very end its colours saturate.
    unguided_steps=1,
    categories=("tops", "bottoms", "one-pieces"),
)


def load_manifest(configs: ConfigFolders, name: str) -> ModelManifest:
    """Describe the model under the name `name`. Raises ManifestError naming what is missing or not supported."""
    config = configs.read("transformer/config.json")
    card = read_card(configs)
    channels = int(config["in_channels"])
    height, width = int(config["input_height"]), int(config["input_width"])

    def plane(called: str, depth: int) -> TensorSpec:
        return TensorSpec(called, DType.FP32, (depth, height, width))

    none = ComponentSignature((), ())
    return ModelManifest(
        name=name,
        family=FAMILY,
        licence=card.licence,
        latent=LatentLayout(LatentKind.PIXEL, channels, 1, 1.0, 0.0),
        noise=flow_schedule(configs, MuRule.FIXED, linear_sigmas=True),
        guidance=GuidanceKind.BATCHED,
        size=SizeRule(int(config["patch_size"]), min(height, width), max(height, width), width, height),
        defaults=card.defaults(_DEFAULTS),
        prompts=(),
        text_encoder=none,
        denoiser=ComponentSignature(
            (
                plane("sample", channels),
                TensorSpec("timestep", DType.FP32, ()),
                plane("agnostic", channels),
                plane("person_pose", 1),
                plane("garment", channels),
                plane("garment_pose", 1),
                TensorSpec("category", DType.INT64, ()),
            ),
            (plane("prediction", channels),),
        ),
        vae_encoder=none,
        vae_decoder=none,
        try_on=_RULE,
    )
