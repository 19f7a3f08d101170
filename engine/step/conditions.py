"""Everything that a request's rows bring to a denoiser call beside sample and timestep, in the signature's order."""

from collections.abc import Iterator, Sequence

import torch

from engine.request import DenoiseRequest
from families.catalog import FAMILIES
from families.derived import Layout
from families.manifest import REFERENCE, ModelManifest
from families.tensors import DType, TensorSpec


def call_conditions(request: DenoiseRequest, manifest: ModelManifest, rows: int) -> tuple[torch.Tensor, ...]:
    """One tensor [rows, ...] a condition; `rows` is 2 (negative, positive) under guidance, else 1.

    The request must have been checked.
    """
    given = tuple(_given(request, manifest))
    layout = Layout(
        latent_height=request.latent_height,
        latent_width=request.latent_width,
        text_length=_text_length(manifest.given, [condition.tensor for condition in request.conditions]),
        references=() if request.references is None else request.references.sizes,
    )
    # A toy model in a test has a family that nobody knows; it has nothing to derive.
    family = FAMILIES.get(manifest.family)
    derived = () if family is None else family.derive(manifest, layout)
    tensors = (*given, *(torch.from_numpy(tensor.array) for tensor in derived))
    # Without guidance only the positive row, which is the last, rides.
    return tuple(tensor[-rows:].expand(rows, *tensor.shape[1:]) for tensor in tensors)


def _given(request: DenoiseRequest, manifest: ModelManifest) -> Iterator[torch.Tensor]:
    for condition in request.conditions:
        yield condition.tensor
    if manifest.references is not None:
        cells = request.references.cells if request.references is not None else None
        channels = _channels(manifest)
        yield torch.zeros((1, 0, channels)) if cells is None else cells[None]


def _channels(manifest: ModelManifest) -> int:
    spec = next(spec for spec in manifest.denoiser.inputs if spec.name == REFERENCE)
    return int(spec.dims[-1])


def _text_length(specs: Sequence[TensorSpec], tensors: Sequence[torch.Tensor]) -> int:
    """Tokens of the first condition that is a sequence of them; 0 where none is."""
    lengths = [
        tensor.shape[1]
        for spec, tensor in zip(specs, tensors, strict=True)
        if len(spec.dims) == 2 and spec.dtype is DType.FP32
    ]
    return lengths[0] if lengths else 0
