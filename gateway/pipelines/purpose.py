"""Which routes a model is asked through."""

from families.manifest import ModelManifest


def purpose_of(manifest: ModelManifest) -> str:
    """What the model does and where, to go behind its name in an error."""
    if manifest.try_on is not None:
        return (
            "dresses a person and takes no prompt: ask it through /v1/tryon-fast, /v1/tryon-premium or, with the "
            "person and the garment as images, /v1/images/edits"
        )
    if manifest.layers is not None:
        return "takes pictures apart: ask it through /v1/images/layers"
    return "draws pictures from prompts: ask it through /v1/images/generations"
