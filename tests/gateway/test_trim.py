"""Padding is cut off where a mask says so, to few lengths, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from families.catalog import load_source
from families.manifest import ComponentSignature
from families.tensors import DType, NamedTensor, TensorSpec
from gateway.pipelines.trim import without_padding
from tests.gateway.model_folder import write_model_folder

WIDTH, LENGTH = 3, 400


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    plain = load_source(write_model_folder(tmp_path_factory.mktemp("trim") / "model")).manifest
    masked = (*plain.denoiser.inputs, TensorSpec("context_mask", DType.BOOL, ("text_length",)))
    return replace(plain, denoiser=ComponentSignature(masked, plain.denoiser.outputs))


def conditions(*used: int) -> tuple[NamedTensor, ...]:
    context = np.arange(len(used) * LENGTH * WIDTH, dtype=np.float32).reshape(len(used), LENGTH, WIDTH)
    mask = np.arange(LENGTH)[None] < np.array(used)[:, None]
    return (NamedTensor("context", context), NamedTensor("context_mask", mask))


@pytest.mark.parametrize(
    ("used", "length"),
    [((0,), 64), ((1,), 64), ((64,), 64), ((65,), 128), ((10, 129), 256), ((257, 3), LENGTH), ((LENGTH,), LENGTH)],
)
def test_the_longest_row_decides(manifest, used: tuple[int, ...], length: int) -> None:
    given = conditions(*used)
    trimmed = without_padding(manifest, given)
    assert [tensor.name for tensor in trimmed] == ["context", "context_mask"]
    for before, after in zip(given, trimmed, strict=True):
        assert np.array_equal(after.array, before.array[:, :length])
    assert tuple(trimmed[1].array.sum(axis=1)) == used


def test_other_conditions_stay(manifest) -> None:
    pooled = NamedTensor("pooled", np.ones((2, LENGTH), np.float32))
    specs = (*manifest.denoiser.inputs, TensorSpec("pooled", DType.FP32, (LENGTH,)))
    more = replace(manifest, denoiser=ComponentSignature(specs, manifest.denoiser.outputs))
    trimmed = without_padding(more, (*conditions(5, 6), pooled))
    assert trimmed[2] is pooled
    assert trimmed[0].array.shape == (2, 64, WIDTH)


def test_without_a_mask_padding_is_part_of_the_text(manifest) -> None:
    plain = replace(manifest, denoiser=ComponentSignature(manifest.denoiser.inputs[:-1], manifest.denoiser.outputs))
    given = conditions(5)[:1]
    assert without_padding(plain, given) == given
