"""How far an artefact may be from float32 torch, by what it computes in."""

from export.recipe import Precision, Quantisation, QuantisationMethod
from export.verification.report import Tolerance
from families.manifest import Component

# float32 against float32: only the order of summation may differ. Outputs are of order 1.
_FP32 = Tolerance(absolute=2e-4, relative=1e-4, norm=1e-4, psnr=40)
# Half precision: 11 bits of significand in fp16, 8 in bf16, over a few dozen layers.
_FP16 = Tolerance(absolute=2e-2, relative=1e-2, norm=5e-3, psnr=30)
_BF16 = Tolerance(absolute=None, relative=0, norm=4e-2, psnr=20)

# Bytes: a value on the edge of two levels may round either way, and only such values may differ.
_PIXELS = {
    Precision.FP32: Tolerance(absolute=1, relative=0, differing=0.01, psnr=40),
    Precision.FP16: Tolerance(absolute=3, relative=0, differing=0.2, psnr=35),
    Precision.BF16: Tolerance(absolute=None, relative=0, norm=2e-2, psnr=28),
}
_VALUES = {Precision.FP32: _FP32, Precision.FP16: _FP16, Precision.BF16: _BF16}

# Rounded weights move every value a little; what counts is how much of the signal is error. A picture may well differ
# in detail, so its likeness bounds only gross damage.
_QUANTISED = {
    QuantisationMethod.INT8_WEIGHT_ONLY: Tolerance(absolute=None, relative=0, norm=0.05, psnr=18),
    QuantisationMethod.INT8_SMOOTHQUANT: Tolerance(absolute=None, relative=0, norm=0.20, psnr=14),
    QuantisationMethod.FP8: Tolerance(absolute=None, relative=0, norm=0.20, psnr=14),
    QuantisationMethod.NVFP4: Tolerance(absolute=None, relative=0, norm=0.40, psnr=10),
}


def tolerance_for(
    component: Component, precision: Precision = Precision.FP32, quantisation: Quantisation | None = None
) -> Tolerance:
    """The tolerance of one component's artefact."""
    if quantisation is not None:
        return _QUANTISED[quantisation.method]
    return (_PIXELS if component is Component.VAE_DECODER else _VALUES)[precision]
