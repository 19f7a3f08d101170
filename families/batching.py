"""How many rows one call of a component may carry.

Three sides read it: the export writes it into `config.pbtxt` and the engines' shape profiles, the gateway splits larger
calls by it, and deterministic calls are padded to it, so that no stranger's rows join the batch and its shape, hence the
arithmetic, is always the same.
"""

from collections.abc import Mapping
from types import MappingProxyType

from families.manifest import Component

MAX_BATCH: Mapping[Component, int] = MappingProxyType({Component.TEXT_ENCODER: 16, Component.VAE_DECODER: 4})
"""Of the components which are called once a request; the denoiser's rows are the step engine's own business."""
