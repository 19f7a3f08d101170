"""A recipe's shape profiles, in pixels and rows, as the shapes of one component's inputs.

An axis is known by its symbol in the signature: `batch`, `latent_height`, `latent_width`, `height`, `width` (pixels),
`text_length`, and of the picture that a model takes apart, `reference_length`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from export.errors import RecipeError
from export.recipe import Range, Recipe, ShapeProfile, Target
from export.recipe_components import components_of
from families.batching import MAX_BATCH, PROMPT_PIECES, SHORTEST_TEXT
from families.manifest import Component, ModelManifest
from families.tensors import LATENT_HEIGHT, LATENT_WIDTH, ComponentSignature, TensorSpec

BATCH = "batch"
TEXT_LENGTH = "text_length"
REFERENCE_LENGTH = "reference_length"

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class InputShapes:
    """The smallest, best and largest shape of one input, batch axis first."""

    name: str
    min: Shape
    opt: Shape
    max: Shape


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """One optimisation profile: `inputs` in the signature's order, and the largest value of every symbol."""

    inputs: tuple[InputShapes, ...]
    maxima: tuple[tuple[str, int], ...]


def check_profiles(manifest: ModelManifest, recipe: Recipe) -> None:
    """Hold a recipe's profiles against the model, before anything is built; takes no library.

    A graph has no profiles, but those that a recipe for one writes down are checked all the same. Raises RecipeError
    naming recipe and key.
    """
    if recipe.target is Target.ONNX and "profiles" not in recipe.model_fields_set:
        return
    for component in components_of(recipe, manifest):
        try:
            engine_profiles(manifest, component, recipe.profiles)
        except RecipeError as error:
            raise RecipeError(f"recipe {recipe.name}: {error}") from error


def engine_profiles(
    manifest: ModelManifest, component: Component, profiles: Sequence[ShapeProfile]
) -> tuple[EngineProfile, ...]:
    """The profiles of one component. Raises RecipeError naming the key that does not fit the model."""
    signature = manifest.signature(component)
    made = []
    for index, profile in enumerate(profiles):
        ranges = _symbol_ranges(manifest, component, profile, f"profiles[{index}]")
        made.append(resolve(signature, ranges))
    return tuple(made)


def resolve(signature: ComponentSignature, ranges: Mapping[str, Range]) -> EngineProfile:
    """Put ranges in place of symbols. Raises RecipeError naming a symbol that has none."""

    def shape(spec: TensorSpec, bound: str) -> Shape:
        return tuple(_bound(dim, bound, ranges, spec.name) for dim in (BATCH, *spec.dims))

    inputs = tuple(
        InputShapes(spec.name, shape(spec, "min"), shape(spec, "opt"), shape(spec, "max")) for spec in signature.inputs
    )
    return EngineProfile(inputs, tuple((symbol, limits.max) for symbol, limits in ranges.items()))


def _bound(dim: int | str, bound: str, ranges: Mapping[str, Range], name: str) -> int:
    if isinstance(dim, int):
        return dim
    if dim not in ranges:
        raise RecipeError(f"input {name!r} has the dynamic axis {dim!r}, for which a profile has no range")
    value: int = getattr(ranges[dim], bound)
    return value


def _symbol_ranges(manifest: ModelManifest, component: Component, profile: ShapeProfile, key: str) -> dict[str, Range]:
    # No call carries more rows than this, whatever the recipe allows; the denoiser has no such limit of its own.
    most = MAX_BATCH.get(component, profile.batch.max)
    batch = Range(min=min(profile.batch.min, most), opt=min(profile.batch.opt, most), max=min(profile.batch.max, most))
    rule = manifest.size
    pixels = {
        "height": _side(manifest, profile.height, rule.default_height, f"{key}.height"),
        "width": _side(manifest, profile.width, rule.default_width, f"{key}.width"),
    }
    ranges = {BATCH: batch, **pixels, **_latent_sides(manifest, component, pixels["height"], pixels["width"])}
    if manifest.layers is not None:
        ranges[REFERENCE_LENGTH] = _picture_length(manifest, pixels["height"], pixels["width"])
    if any(TEXT_LENGTH in spec.dims for spec in manifest.denoiser.inputs):
        ranges[TEXT_LENGTH] = _text_length(manifest, profile.text_length, f"{key}.text_length")
    elif profile.text_length is not None:
        has = f"a fixed text length of {manifest.prompts[0].length}" if manifest.prompts else "no text"
        raise RecipeError(f"{key}.text_length: {manifest.name} has {has}; leave the key out")
    return ranges


def _side(manifest: ModelManifest, wanted: Range | None, default: int, key: str) -> Range:
    """A side in pixels: the recipe's, or all that the model allows, tuned at its default."""
    rule = manifest.size
    pixels = wanted or Range(min=rule.minimum, opt=default, max=rule.maximum)
    _check_bounds(manifest, pixels, rule.minimum, rule.maximum, key)
    for name, value in _bounds(pixels):
        if value % rule.multiple:
            raise RecipeError(f"{key}.{name}: {value} is no multiple of {rule.multiple}, as {manifest.name} needs")
    return pixels


def _latent_sides(manifest: ModelManifest, component: Component, height: Range, width: Range) -> dict[str, Range]:
    """The same sides in latent cells: of a picture, or of all that the denoiser works on, for any number of layers."""
    layers = manifest.layers
    counts = (None, None, None) if layers is None else (layers.minimum, layers.usual, layers.maximum)

    def size(bound: str, count: int | None) -> tuple[int, int]:
        pixels = (getattr(height, bound), getattr(width, bound))
        if component is Component.DENOISER:
            return manifest.latent_size(*pixels, count)
        return pixels[0] // manifest.latent.downscale, pixels[1] // manifest.latent.downscale

    sizes = (size(bound, count) for bound, count in zip(("min", "opt", "max"), counts, strict=True))
    (low, narrow), (best, usual), (high, wide) = sizes
    return {LATENT_HEIGHT: Range(min=low, opt=best, max=high), LATENT_WIDTH: Range(min=narrow, opt=usual, max=wide)}


def _picture_length(manifest: ModelManifest, height: Range, width: Range) -> Range:
    """Cells of one picture."""
    cell = manifest.latent.downscale**2
    low, best, high = (getattr(height, bound) * getattr(width, bound) // cell for bound in ("min", "opt", "max"))
    return Range(min=low, opt=best, max=high)


def _text_length(manifest: ModelManifest, wanted: Range | None, key: str) -> Range:
    """Tokens: the recipe's, or from the shortest text to as many as a request may have, tuned at the shortest."""
    rule = manifest.prompts[0]
    length = next(int(spec.dims[0]) for spec in manifest.text_encoder.outputs if len(spec.dims) > 1)
    # Where padding is masked it is cut off; elsewhere models get what they were trained on.
    least = length if rule.mask is None else min(SHORTEST_TEXT, length)
    most = length * PROMPT_PIECES if rule.chunked else length
    tokens = wanted or Range(min=least, opt=least, max=most)
    _check_bounds(manifest, tokens, least, most, key)
    return tokens


def _check_bounds(manifest: ModelManifest, wanted: Range, least: int, most: int, key: str) -> None:
    for name, value in _bounds(wanted):
        if not least <= value <= most:
            raise RecipeError(f"{key}.{name}: {value} is outside of what {manifest.name} allows: {least} to {most}")


def _bounds(wanted: Range) -> tuple[tuple[str, int], ...]:
    return ("min", wanted.min), ("opt", wanted.opt), ("max", wanted.max)
