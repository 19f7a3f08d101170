"""Models that dress people go through the export like any other: compiled, checked, of every size."""

from pathlib import Path

import pytest

from engine.modules import load_source_module
from export.errors import BuildError, RecipeError
from export.graph.onnx_graph import GraphMetadata, write_onnx
from export.publishing.options import PublishOptions, Runtime
from export.publishing.served_models import Entry, model_config
from export.publishing.warm_up import warm_ups
from export.quantise.calibration import calibration_inputs
from export.recipe import Quantisation, QuantisationMethod, Range, ShapeProfile
from export.tensorrt.profiles import engine_profiles
from export.verification.samples import ReferenceSamples
from export.verification.verify import verify_onnx
from families.catalog import ModelSource, load_source
from families.manifest import Component
from families.repository import ONNX_FILE
from tests.support.tiny_catvton import FEW_BLOCKS, write_tiny_catvton


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    return load_source(write_tiny_catvton(tmp_path_factory.mktemp("models") / "tiny-catvton", blocks=FEW_BLOCKS))


def test_the_denoisers_graph_holds_against_torch(source: ModelSource, tmp_path: Path) -> None:
    path = tmp_path / ONNX_FILE
    metadata = GraphMetadata(source.manifest.name, Component.DENOISER.value, "hash", "test")
    write_onnx(load_source_module(source, Component.DENOISER), source.manifest.denoiser, metadata, path)
    report = verify_onnx(source, Component.DENOISER, path, ReferenceSamples(source))
    assert report.passed and len(report.checks) > 20, report.failures


def test_the_denoisers_latents_are_twice_as_high(source: ModelSource) -> None:
    profile = ShapeProfile(
        batch=Range(min=1, opt=2, max=4), height=Range(min=64, opt=64, max=128), width=Range(min=64, opt=72, max=96)
    )
    (denoiser,) = engine_profiles(source.manifest, Component.DENOISER, [profile])
    sample, _, inpaint = denoiser.inputs
    assert (sample.min, sample.opt, sample.max) == ((1, 4, 16, 8), (2, 4, 16, 9), (4, 4, 32, 12))
    assert (inpaint.min, inpaint.opt, inpaint.max) == ((1, 5, 16, 8), (2, 5, 16, 9), (4, 5, 32, 12))
    (decoder,) = engine_profiles(source.manifest, Component.VAE_DECODER, [profile])
    assert decoder.inputs[0].opt == (2, 4, 8, 9)
    for component, rows in ((Component.DENOISER, 16), (Component.VAE_DECODER, 8)):
        assert warm_ups(source.manifest, component, 4)[0].inputs[0].dims == (4, rows, 8)


def test_triton_takes_the_condition(source: ModelSource) -> None:
    options = PublishOptions(runtime=Runtime.ONNXRUNTIME)
    config = model_config(source.manifest, Entry(Component.DENOISER), options)
    (inpaint,) = (spec for spec in config.inputs if spec.name == "inpaint")
    assert inpaint.dims == ("conditions", 5, "latent_height", "latent_width")


def test_what_needs_prompts_says_so(source: ModelSource) -> None:
    with pytest.raises(RecipeError, match="has no text; leave the key out"):
        engine_profiles(source.manifest, Component.DENOISER, [ShapeProfile(text_length=Range(min=1, opt=77, max=77))])
    settings = Quantisation(method=QuantisationMethod.INT8_SMOOTHQUANT)
    with pytest.raises(BuildError, match="takes no prompts, and calibration draws from prompts"):
        calibration_inputs(source, Component.DENOISER, settings, 0)
