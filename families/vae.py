"""Signatures of the components that turn pixels into latents and back; every family's are alike."""

from families.tensors import ComponentSignature, DType, TensorSpec

_PIXELS = TensorSpec("pixels", DType.UINT8, ("height", "width", 3))
"""sRGB bytes: a quarter of the bytes cross the wire, and every runtime rounds alike."""


def vae_encoder(latent: tuple[int | str, ...]) -> ComponentSignature:
    """Pixels to latents as the sampler wants them (the posterior's mode, scaled), `latent` being their dims."""
    return ComponentSignature((_PIXELS,), (TensorSpec("latents", DType.FP32, latent),))


def vae_decoder(latent: tuple[int | str, ...]) -> ComponentSignature:
    """Latents as the sampler leaves them to pixels."""
    return ComponentSignature((TensorSpec("latents", DType.FP32, latent),), (_PIXELS,))
