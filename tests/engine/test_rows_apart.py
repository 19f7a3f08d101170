"""Rows on cores of their own: the same numbers, and each batch where it is done soonest."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from engine.open import read_manifest
from engine.runtimes.onnx_runtime import open_runtime
from engine.runtimes.rows_apart import RowsApart
from engine.settings import RuntimeSettings
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import version_folder
from families.tensors import Array
from tests.engine.toy import ToyRuntime


class Recording(ToyRuntime):
    """Doubles its input; remembers how many rows which thread brought."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, int]] = []

    def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        self.calls.append((inputs[0].shape[0], threading.get_ident()))
        return (inputs[0] * 2,)


@pytest.mark.parametrize(
    ("rows", "threads", "shares"),
    [(2, 2, [1, 1]), (8, 2, [4, 4]), (1, 2, []), (3, 2, []), (9, 2, [4, 5]), (2, 4, []), (16, 4, [4, 4, 4, 4])],
)
def test_batches_that_divide_are_run_apart(rows: int, threads: int, shares: list[int]) -> None:
    whole, single = Recording(), Recording()
    apart = RowsApart(whole, single, threads)
    batch = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    (output,) = apart.run_arrays([batch])
    np.testing.assert_array_equal(output, batch * 2)
    assert sorted(count for count, _ in single.calls) == sorted(shares)
    assert [count for count, _ in whole.calls] == ([] if shares else [rows])


def test_an_error_in_any_share_is_the_callers() -> None:
    class Failing(Recording):
        def run_arrays(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
            if inputs[0][0, 0] > 0:
                raise RuntimeError("second share")
            return (inputs[0],)

    with pytest.raises(RuntimeError, match="second share"):
        RowsApart(Recording(), Failing(), 2).run_arrays([np.array([[0.0], [1.0]])])


def test_beside_others_one_thread_does_it_all() -> None:
    whole, single = Recording(), Recording()
    apart = RowsApart(whole, single, 2)
    batch = np.ones((4, 3), np.float32)
    assert apart.run_beside([batch], as_alone=True) is not None
    assert apart.run_beside([batch], as_alone=False) is not None
    assert apart.run_beside([batch[:3]], as_alone=True) is None
    assert single.calls == [(2, threading.get_ident())] * 2 + [(4, threading.get_ident())]
    assert not whole.calls


@pytest.mark.parametrize("component", [Component.VAE_DECODER, Component.TEXT_ENCODER])
def test_bytes_are_the_same_alone_and_in_company(repository: Path, tiny: ModelSource, component: Component) -> None:
    folder = version_folder(repository, tiny.manifest.name, component)
    runtime = open_runtime(folder, read_manifest(folder), component, RuntimeSettings(threads=2, device="cpu"))
    assert isinstance(runtime, RowsApart)
    (spec,) = tiny.manifest.signature(component).inputs
    shape = [4, *(6 if isinstance(dim, str) else dim for dim in spec.dims)]
    batch = np.random.default_rng(0).uniform(0, 3, shape).astype(spec.dtype.numpy)
    (alone,) = runtime.run_arrays([batch])
    company = runtime.run_beside([batch], as_alone=True)
    assert company is not None
    np.testing.assert_array_equal(alone, company[0])
