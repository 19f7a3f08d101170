"""How large an artefact will be, told from the weights' headers in milliseconds."""

from export.recipe import Precision, QuantisationMethod, Recipe
from export.sources import count_values
from families.catalog import ModelSource
from families.manifest import Component

_PRECISION_BYTES = {Precision.FP32: 4.0, Precision.FP16: 2.0, Precision.BF16: 2.0}
# NVFP4: half a byte a value and one byte of scale for sixteen.
_QUANTISED_BYTES = {
    QuantisationMethod.INT8_SMOOTHQUANT: 1.0,
    QuantisationMethod.INT8_WEIGHT_ONLY: 1.0,
    QuantisationMethod.FP8: 1.0,
    QuantisationMethod.NVFP4: 0.5625,
}


def estimated_bytes(source: ModelSource, component: Component, recipe: Recipe) -> int:
    """Upper bound, roughly: values in the component's tensors at the width that the recipe gives them."""
    values = count_values(source, component)
    quantisation = recipe.quantisation_of(component)
    width = _PRECISION_BYTES[recipe.precision_of(component)]
    return int(values * (width if quantisation is None else _QUANTISED_BYTES[quantisation.method]))
