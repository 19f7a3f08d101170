"""Signatures of the components that turn pixels into latents and back; every family's are alike."""

from families.tensors import ComponentSignature, DType, TensorSpec


def vae_encoder(latent: tuple[int | str, ...], channels: int = 3) -> ComponentSignature:
    """Pixels to latents as the sampler wants them (the posterior's mode, scaled), `latent` being their dims."""
    return ComponentSignature((_pixels(channels),), (TensorSpec("latents", DType.FP32, latent),))


def vae_decoder(latent: tuple[int | str, ...], channels: int = 3) -> ComponentSignature:
    """Latents as the sampler leaves them to pixels."""
    return ComponentSignature((TensorSpec("latents", DType.FP32, latent),), (_pixels(channels),))


def _pixels(channels: int) -> TensorSpec:
    """sRGB bytes, alpha where there are four: a quarter of the bytes cross the wire, and every runtime rounds alike."""
    return TensorSpec("pixels", DType.UINT8, ("height", "width", channels))
