"""SDXL's graphs: two text encoders in one, sizes in pixels beside a prompt's embedding, an optimiser that copes."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from diffusers import UNet2DConditionModel
from onnxscript import rewriter
from torch import nn

from engine.modules.sdxl import Denoiser
from export.artefacts.key import Dialect
from export.graph.onnx_graph import GraphMetadata, write_onnx
from export.graph.optimiser import linear_rewrites
from export.recipe import Precision
from export.verification.samples import ReferenceSamples
from export.verification.verify import verify_onnx
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.repository import ONNX_FILE
from families.tensors import ComponentSignature, DType, TensorSpec
from tests.support.tiny_sdxl import write_tiny_sdxl

TEXT, POOLED, WAVES = 16, 8, 8
SIGNATURE = ComponentSignature(
    (
        TensorSpec("sample", DType.FP32, (4, "latent_height", "latent_width")),
        TensorSpec("timestep", DType.FP32, ()),
        TensorSpec("context", DType.FP32, (5, TEXT)),
        TensorSpec("text_embeds", DType.FP32, (POOLED,)),
        TensorSpec("time_ids", DType.FP32, (6,)),
    ),
    (TensorSpec("prediction", DType.FP32, (4, "latent_height", "latent_width")),),
)


def _denoiser() -> nn.Module:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        mid_block_type=None,
        norm_num_groups=4,
        cross_attention_dim=TEXT,
        attention_head_dim=(1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=WAVES,
        projection_class_embeddings_input_dim=6 * WAVES + POOLED,
    )
    return Denoiser(unet).eval().requires_grad_(False)


def test_the_graph_runs_and_sizes_are_not_rounded(tmp_path: Path) -> None:
    path = tmp_path / ONNX_FILE
    metadata = GraphMetadata("tiny", "denoiser", "hash", "test", Dialect.PORTABLE)
    write_onnx(_denoiser(), SIGNATURE, metadata, path, precision=Precision.FP16)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    shapes = {"sample": (2, 4, 8, 6), "context": (2, 5, TEXT), "text_embeds": (2, POOLED)}
    feed = {name: random.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    feed["timestep"] = np.array([999, 41], np.float32)
    feed["time_ids"] = np.array([[4097, 3071, 0, 0, 4097, 3071]] * 2, np.float32)  # odd, over 2048: not of float16
    with torch.inference_mode():
        arguments = (torch.from_numpy(feed[spec.name]) for spec in SIGNATURE.inputs)
        expected = _denoiser()(*arguments).numpy()
    (got,) = session.run(None, feed)
    np.testing.assert_allclose(got, expected, atol=5e-3 * np.abs(expected).max())


def test_rules_that_search_the_whole_graph_for_every_node_are_left_out_and_come_back() -> None:
    rules = rewriter._DEFAULT_REWRITE_RULES
    left_out = [rule.name for rule in rules if not rule._target_pattern.has_single_output_node]
    with pytest.raises(KeyError), linear_rewrites():
        inside = rewriter._DEFAULT_REWRITE_RULES
        raise KeyError
    assert [rule.name for rule in rules if rule not in inside] == left_out != []
    assert rewriter._DEFAULT_REWRITE_RULES is rules


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    return load_source(write_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "tiny"))


def test_checks_give_every_component_all_its_inputs(source: ModelSource) -> None:
    samples = ReferenceSamples(source)
    for component in (Component.TEXT_ENCODER, Component.DENOISER):
        specs = source.manifest.signature(component).inputs
        for sample in samples.of(component):
            assert [tensor.name for tensor in sample.inputs] == [spec.name for spec in specs]
            for tensor, spec in zip(sample.inputs, specs, strict=True):
                assert tensor.array.dtype == spec.dtype.numpy
                fixed = [(axis, dim) for axis, dim in enumerate(spec.dims, 1) if isinstance(dim, int)]
                assert all(tensor.array.shape[axis] == dim for axis, dim in fixed)
    (ids,) = [tensor for tensor in samples.of(Component.DENOISER)[-1].inputs if tensor.name == "time_ids"]
    assert ids.array[0].tolist() == [64, 64, 0, 0, 64, 64], "the smallest size"


def test_both_text_encoders_are_one_graph(source: ModelSource, tmp_path: Path) -> None:
    path, component = tmp_path / ONNX_FILE, Component.TEXT_ENCODER
    samples = ReferenceSamples(source)
    metadata = GraphMetadata("tiny", component.value, "hash", "test", Dialect.PORTABLE)
    write_onnx(samples.module(component), source.manifest.text_encoder, metadata, path)
    report = verify_onnx(source, component, path, samples)
    assert [check for check in report.checks if not check.passed] == []
    assert {check.output for check in report.checks} >= {"context", "text_embeds", "pixels"}
