"""Names that several packages must agree on."""

from pathlib import Path

import numpy as np
import pytest

from families import denoise_wire
from families.batching import MAX_BATCH
from families.manifest import Component, Prediction
from families.repository import version_folder
from families.schedulers import FLOW_SCHEDULERS, SchedulerName, supported_schedulers
from families.tensors import DType


@pytest.mark.parametrize("prediction", [Prediction.EPSILON, Prediction.V])
def test_noise_models_take_all_but_flow_schedulers(prediction: Prediction) -> None:
    assert set(supported_schedulers(prediction)) == set(SchedulerName) - set(FLOW_SCHEDULERS)


def test_flow_models_take_flow_schedulers() -> None:
    assert supported_schedulers(Prediction.FLOW) == FLOW_SCHEDULERS


def test_every_type_has_a_numpy_type() -> None:
    assert {dtype: dtype.numpy for dtype in DType}[DType.FP32] == np.float32
    assert DType.BYTES.numpy == np.dtype(object)


def test_wire_names_are_distinct() -> None:
    specs = (*denoise_wire.CONTROL_INPUTS, *denoise_wire.OUTPUTS)
    assert len({spec.name for spec in specs}) == len(specs)


def test_components_called_once_a_request_have_a_batch() -> None:
    assert set(MAX_BATCH) == set(Component) - {Component.DENOISER}


def test_version_folders() -> None:
    assert version_folder(Path("repository"), "toy", Component.VAE_DECODER) == Path("repository/toy.vae_decoder/1")
