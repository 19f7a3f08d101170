"""What every kind of source offers: configurations, and the files of each part."""

from typing import Protocol

from families.sources.configs import ConfigFolders
from families.sources.weights import PartWeights


class Parts(Protocol):
    """A model's parts under diffusers' folder names (unet, vae, text_encoder, ...)."""

    @property
    def configs(self) -> ConfigFolders:
        """Where its JSON files lie; the first root is the model's own."""
        ...

    def weights(self, part: str) -> PartWeights:
        """The files of one part. Raises CheckpointError or ManifestError naming what is missing."""
        ...
