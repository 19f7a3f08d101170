"""The exported graphs: names, dynamic axes, metadata, and numbers at sizes that were never traced."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from engine.modules import load_module
from export.artefacts.artefact import Artefact
from export.graph.onnx_graph import OPSET
from export.lowering import lower
from export.sources import source_hash
from families.catalog import ModelSource
from families.manifest import Component
from families.repository import ONNX_FILE


def _session(artefact: Artefact) -> ort.InferenceSession:
    return ort.InferenceSession(str(artefact.folder / ONNX_FILE), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("component", list(Component))
def test_names_and_symbols_are_the_signatures(
    component: Component, source: ModelSource, artefacts: dict[Component, Artefact]
) -> None:
    session, signature = _session(artefacts[component]), source.manifest.signature(component)
    assert [entry.name for entry in session.get_inputs()] == [spec.name for spec in signature.inputs]
    assert [entry.name for entry in session.get_outputs()] == [spec.name for spec in signature.outputs]
    for entry, spec in zip(session.get_inputs(), signature.inputs, strict=True):
        assert entry.shape == ["batch", *spec.dims]


@pytest.mark.parametrize("component", list(Component))
def test_metadata_says_where_the_file_comes_from(
    component: Component, source: ModelSource, artefacts: dict[Component, Artefact]
) -> None:
    model = onnx.load(str(artefacts[component].folder / ONNX_FILE))
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["triptych.model"] == "tiny"
    assert said["triptych.component"] == component.value
    assert said["triptych.source_hash"] == source_hash(source, component)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [OPSET]


@pytest.mark.parametrize("shape", [(1, 16, 16, 16), (2, 15, 16, 16), (1, 9, 22, 32), (3, 8, 8, 48), (70, 8, 9, 16)])
def test_denoiser_equals_torch_at_every_size(
    shape: tuple[int, int, int, int], source: ModelSource, artefacts: dict[Component, Artefact]
) -> None:
    rows, height, width, length = shape
    context = source.manifest.denoiser.inputs[2]
    generator = torch.Generator().manual_seed(1)
    inputs = (
        torch.randn(rows, 4, height, width, generator=generator),
        torch.linspace(1, 999, rows),
        torch.randn(rows, length, int(context.dims[1]), generator=generator),
    )
    with torch.inference_mode():
        expected = load_module(source.manifest.family, Component.DENOISER, source.folder)(*inputs).numpy()
    names = [spec.name for spec in source.manifest.denoiser.inputs]
    feed = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
    got = _session(artefacts[Component.DENOISER]).run(None, feed)[0]
    np.testing.assert_allclose(got, expected, atol=2e-5, rtol=1e-4)


def test_attention_is_one_operator(artefacts: dict[Component, Artefact]) -> None:
    def operators(component: Component) -> list[str]:
        return [node.op_type for node in onnx.load(str(artefacts[component].folder / ONNX_FILE)).graph.node]

    for component in (Component.DENOISER, Component.VAE_DECODER):
        assert "MultiHeadAttention" in operators(component)
        assert "Softmax" not in operators(component)


def test_lowering_leaves_unknown_modules_alone() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(torch.nn.GELU()))
    before = [type(part) for part in module.modules()]
    lower(module)
    assert [type(part) for part in module.modules()] == before
