"""Frames that lie one above the other in the latents of a model which takes pictures apart."""

from engine.errors import InvalidRequestError
from engine.request import DenoiseRequest
from families.manifest import ModelManifest


def check_frames(request: DenoiseRequest, manifest: ModelManifest) -> None:
    """Raises InvalidRequestError where the latents are no frames of the picture that is to be taken apart."""
    rule = manifest.layers
    if rule is None:
        return
    given = request.references
    if given is None or len(given.sizes) != 1:
        raise InvalidRequestError(f"{manifest.name} takes one picture apart, which must come as the one reference")
    rows, columns = given.sizes[0]
    frames, rest = divmod(request.latent_height, max(rows, 1))
    if not rows or rest or columns != request.latent_width:
        size = f"{request.latent_height}x{request.latent_width}"
        raise InvalidRequestError(f"latents must be whole frames of the picture's {rows}x{columns} cells, got {size}")
    least, most = rule.frames(rule.minimum), rule.frames(rule.maximum)
    if not least <= frames <= most:
        raise InvalidRequestError(
            f"latents must hold the picture and {rule.minimum} to {rule.maximum} layers, got {frames} frames"
        )


def frames_of(request: DenoiseRequest, manifest: ModelManifest) -> int:
    """Frames of a request that was checked; 1 of any other model's."""
    if manifest.layers is None or request.references is None:
        return 1
    return request.latent_height // request.references.sizes[0][0]
