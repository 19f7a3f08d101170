"""Quantised modules: the right layers, close to full precision, and what Model Optimizer itself computes."""

import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn

from export.errors import BuildError
from export.quantise import quantise_module
from export.quantise.activations import ScaledActivation
from export.quantise.fp4 import BLOCK, Fp4Weight, fp4_codes, fp4_values
from export.quantise.layers import QuantisedConv2d, QuantisedLayer, QuantisedLinear
from export.quantise.weights import ScaledWeight
from export.recipe import Quantisation, QuantisationMethod
from families.catalog import ModelSource
from families.manifest import Component
from tests.export.quantised import inputs_of, load, quantise, run_torch, settings_of, signal_to_noise

METHODS = list(QuantisationMethod)
# Decibels of the tiny random model's denoiser in the middle of a trajectory; a broken scale gives less.
FLOORS = {
    QuantisationMethod.INT8_SMOOTHQUANT: 24.0,
    QuantisationMethod.INT8_WEIGHT_ONLY: 35.0,
    QuantisationMethod.FP8: 18.0,
    QuantisationMethod.NVFP4: 10.0,
}


class Small(nn.Module):
    """A convolution, a linear layer with outliers in one channel, and one without a bias."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(4, 32, 3, padding=1)
        self.first = nn.Linear(32, 48)
        self.last = nn.Linear(48, 16, bias=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens = self.conv(image).flatten(2).transpose(1, 2)
        tokens = tokens * torch.linspace(0.1, 8, 32)
        result: torch.Tensor = self.last(torch.relu(self.first(tokens)))
        return result


def _small_settings(method: QuantisationMethod, *exclude: str) -> Quantisation:
    return Quantisation(method=method, exclude=exclude)


def _small_inputs() -> list[tuple[torch.Tensor, ...]]:
    generator = torch.Generator().manual_seed(5)
    return [(torch.randn(2, 4, 6, 5, generator=generator),) for _ in range(3)]


@pytest.mark.parametrize("method", METHODS)
def test_denoiser_stays_close_and_only_chosen_layers_change(method: QuantisationMethod, source: ModelSource) -> None:
    module = quantise(source, Component.DENOISER, method)
    sample = inputs_of(source, Component.DENOISER, method)[2]
    error = signal_to_noise(run_torch(module, sample), run_torch(load(source, Component.DENOISER), sample))
    assert FLOORS[method] < error < 80, "close to full precision, yet not untouched"
    kinds = {name: part for name, part in module.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)}
    assert {name.split(".")[1] for name in kinds if "proj_out" not in name} == {"conv_in", "conv_out", "time_embedding"}
    assert not any("modelopt" in type(part).__module__ for part in module.modules())
    linear = module.get_submodule("unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q")
    convolution = module.get_submodule("unet.mid_block.resnets.0.conv1")
    assert isinstance(linear, QuantisedLinear)
    assert isinstance(convolution, QuantisedConv2d)
    stored = [torch.int8] * 2
    if method is QuantisationMethod.FP8:
        stored = [torch.float8_e4m3fn] * 2
    if method is QuantisationMethod.NVFP4:
        stored = [torch.float4_e2m1fn_x2, torch.float8_e4m3fn]
    assert [linear.weight.get_buffer("stored").dtype, convolution.weight.get_buffer("stored").dtype] == stored
    assert (linear.activation is None) == (method is QuantisationMethod.INT8_WEIGHT_ONLY)


@pytest.mark.parametrize("component", [Component.TEXT_ENCODER, Component.VAE_DECODER])
def test_other_components_quantise(component: Component, source: ModelSource) -> None:
    method = QuantisationMethod.INT8_SMOOTHQUANT
    module = quantise(source, component, method)
    assert any(isinstance(part, QuantisedLayer) for part in module.modules())
    inputs = inputs_of(source, component, method)[0]
    wanted = run_torch(load(source, component), inputs)
    assert signal_to_noise(run_torch(module, inputs), wanted) > 25


@pytest.mark.parametrize(
    ("method", "config"),
    [
        (QuantisationMethod.INT8_WEIGHT_ONLY, "INT8_WEIGHT_ONLY_CFG"),
        (QuantisationMethod.INT8_SMOOTHQUANT, "INT8_SMOOTHQUANT_CFG"),
        (QuantisationMethod.FP8, "FP8_DEFAULT_CFG"),
    ],
)
def test_numbers_are_model_optimizers(method: QuantisationMethod, config: str) -> None:
    """Its own simulation against our stored weights; only the rounding of a convolution's result is ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import modelopt.torch.quantization as mtq
    inputs = _small_inputs()
    settings = Quantisation(method=method, exclude=(), alpha=1.0)  # Model Optimizer's default alpha
    ours = quantise_module(Small().eval(), inputs, settings)
    for part in ours.modules():
        if isinstance(part, QuantisedConv2d):
            part.output = None
    theirs = mtq.quantize(Small().eval(), getattr(mtq, config), lambda model: [model(*call) for call in inputs])
    for call in inputs:
        assert signal_to_noise(run_torch(ours, call), run_torch(theirs, call)) > 60


def test_fp4_is_model_optimizers() -> None:
    from modelopt.torch.quantization.qtensor import NVFP4QTensor

    weight = torch.randn(24, 64, generator=torch.Generator().manual_seed(1)) * torch.logspace(-3, 1, 24)[:, None]
    stored, scales, scale = NVFP4QTensor.quantize(weight.clone(), BLOCK)
    theirs = stored.dequantize(torch.float32, scale=scales, double_scale=scale, block_sizes={-1: BLOCK})
    ours = Fp4Weight.of(weight, weight.abs().amax())
    assert torch.equal(ours.stored.view(torch.uint8), stored._quantized_data)
    assert torch.allclose(ours(), theirs, rtol=1e-6, atol=0)


def test_fp4_rounds_to_the_nearest_and_ties_to_even() -> None:
    values = torch.tensor([0.0, 0.2, 0.25, 0.26, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 5.1, 100.0, -0.6, -2.6])
    expected = [0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0, 6.0, 6.0, -0.5, -3.0]
    assert fp4_values(fp4_codes(values)).tolist() == expected


def test_values_beyond_calibration_saturate() -> None:
    beyond = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0])
    for activation in (ScaledActivation.int8(torch.tensor(2.0)), ScaledActivation.fp8(torch.tensor(2.0))):
        assert activation(beyond).abs().max() <= 2.02
    assert ScaledWeight.int8(torch.zeros(2, 3), torch.zeros(2))().tolist() == torch.zeros(2, 3).tolist()


def test_smoothing_helps_where_one_channel_is_loud() -> None:
    inputs = _small_inputs()
    errors = {}
    for alpha in (0.0, 0.8):
        settings = Quantisation(method=QuantisationMethod.INT8_SMOOTHQUANT, exclude=("conv",), alpha=alpha)
        module = quantise_module(Small().eval(), inputs, settings)
        first = module.get_submodule("first")
        assert isinstance(first, QuantisedLinear)
        assert first.smoothing is not None
        errors[alpha] = signal_to_noise(run_torch(module, inputs[0]), run_torch(Small().eval(), inputs[0]))
    assert errors[0.8] > errors[0.0]


def test_exclusion_is_by_whole_name() -> None:
    module = quantise_module(Small().eval(), [], _small_settings(QuantisationMethod.INT8_WEIGHT_ONLY, "fir*", "onv"))
    assert isinstance(module.get_submodule("first"), nn.Linear)
    assert isinstance(module.get_submodule("conv"), QuantisedConv2d)


def test_layers_that_do_not_fit_fp4_take_fp8() -> None:
    module = nn.Sequential(nn.Linear(24, 32), nn.Linear(32, 8)).eval()
    quantised = quantise_module(module, [(torch.randn(4, 24),)], _small_settings(QuantisationMethod.NVFP4))
    assert [type(part.weight) for part in quantised.children()] == [ScaledWeight, Fp4Weight]


def test_mistakes_say_what_to_do(source: ModelSource) -> None:
    method = QuantisationMethod.FP8
    with pytest.raises(BuildError, match=r"quantisation\.exclude leaves no layer.*\*"):
        quantise_module(Small(), _small_inputs(), _small_settings(method, "*"))
    with pytest.raises(BuildError, match="fp8 rounds activations: it needs calibration inputs"):
        quantise_module(load(source, Component.DENOISER), [], settings_of(method))
    broken = Small()
    broken.first.weight.data[0, 0] = torch.nan
    with pytest.raises(BuildError, match="first has NaN or Inf among its weights"):
        quantise_module(broken, _small_inputs(), _small_settings(method))
    overflowing = [(torch.full((1, 4, 6, 5), 1e38),)]
    with pytest.raises(BuildError, match=r"calibration .*[Ii]nf"):
        quantise_module(Small(), overflowing, _small_settings(method))


def test_layers_that_never_run_stay() -> None:
    idle = Small().eval()
    idle.extra = nn.Linear(4, 4)
    quantised = quantise_module(idle, _small_inputs(), _small_settings(QuantisationMethod.FP8))
    assert isinstance(quantised.get_submodule("extra"), nn.Linear)
    assert isinstance(quantised.get_submodule("first"), QuantisedLinear)


def test_a_cache_hit_loads_no_tensor_library() -> None:
    code = "import sys, export.quantise as q; q.calibration_identity; print({'torch', 'modelopt'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
