"""What is compared: shipped recipes, and how far each can be taken on a machine without a GPU."""

from enum import StrEnum

from export.recipe import Precision, Recipe, Target

REFERENCE = "wardrobe-fp32"
RECIPES = (
    REFERENCE,
    "wardrobe-fp16",
    "wardrobe-bf16",
    "wardrobe-int8-weight-only",
    "wardrobe-int8-smoothquant",
    "wardrobe-int8-selective",
    "wardrobe-fp8",
    "wardrobe-nvfp4",
    "wardrobe-tensorrt-rtx",
    "wardrobe-tensorrt-rtx-fp16",
)
"""The others are held against the first."""


class Way(StrEnum):
    """How a recipe's pictures come about here."""

    SERVED = "served"
    """By Triton, over HTTP."""
    SIMULATED = "simulated"
    """Its numbers are computed outside of Triton: ONNX Runtime's CPU provider has no kernels for them."""
    COMPILED = "compiled"
    """Not at all: the engine is built and needs a GPU, and its graph is that of a precision that is served."""


def way_of(recipe: Recipe) -> Way:
    """By what ONNX Runtime runs on a CPU."""
    if recipe.target is not Target.ONNX:
        return Way.COMPILED if recipe.quantisation is None else Way.SIMULATED
    return Way.SIMULATED if Precision.BF16 in {recipe.precision, *recipe.component_precision.values()} else Way.SERVED
