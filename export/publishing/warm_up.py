"""Requests that Triton runs before it calls a model ready: first calls compile kernels and fill allocators."""

from collections.abc import Mapping

from export.publishing.triton_config import WarmUp, WarmUpData, WarmUpInput
from families.manifest import Component, ModelManifest
from families.tensors import LATENT_HEIGHT, LATENT_WIDTH, DType, TensorSpec


def warm_ups(manifest: ModelManifest, component: Component, max_batch: int) -> tuple[WarmUp, ...]:
    """One request a batch size, the smallest and the largest, at the model's default picture size."""
    sizes = _sizes(manifest, component)
    inputs = tuple(_input(spec, sizes) for spec in manifest.signature(component).inputs)
    return tuple(WarmUp(f"batch {rows}", rows, inputs) for rows in sorted({1, max_batch}))


def _input(spec: TensorSpec, sizes: Mapping[str, int]) -> WarmUpInput:
    """Random floats, for kernels whose speed depends on their numbers; zeros for ids, which have a range to keep."""
    data = WarmUpData.RANDOM if spec.dtype is DType.FP32 else WarmUpData.ZERO
    return WarmUpInput(
        spec.name, spec.dtype, tuple(dim if isinstance(dim, int) else sizes.get(dim, 1) for dim in spec.dims), data
    )


def _sizes(manifest: ModelManifest, component: Component) -> dict[str, int]:
    """Dynamic axes at the model's default."""
    size, cell = manifest.size, manifest.latent.downscale
    rows, columns = size.default_height // cell, size.default_width // cell
    if component is Component.DENOISER:
        rows, columns = manifest.default_latent_size
    return {
        LATENT_HEIGHT: rows,
        LATENT_WIDTH: columns,
        "height": size.default_height,
        "width": size.default_width,
    }
