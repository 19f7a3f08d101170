"""`python -m benchmarks.quantisation.sensitivity`: the error of each layer, quantised alone: which ones to exclude."""

import copy
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.machine import usable_cores
from engine.modules import load_source_module
from export.quantise import CALIBRATION_SEED, calibration_inputs, quantise_module
from export.quantise.layers import QuantisedLayer
from export.recipe_files import find_recipe
from families.catalog import load_source
from families.manifest import Component

_ROOT = Path(__file__).resolve().parents[2]
_TEST_SEED = 4242  # other noise than calibration's


def main(
    *,
    recipe: Annotated[str, typer.Option(help="A recipe that quantises the denoiser.")] = "wardrobe-int8-smoothquant",
    shown: Annotated[int, typer.Option(min=1, help="Layers to show, the worst first.")] = 10,
    model: Annotated[Path, typer.Option(help="The model's folder.")] = _ROOT / "wardrobe/weights/wardrobe",
) -> None:
    """Relative L2 errors of the denoiser's output at the first, middle and last step of one lot of images."""
    settings, source, component = find_recipe(recipe).quantisation, load_source(model), Component.DENOISER
    if settings is None:
        raise typer.BadParameter(f"{recipe} quantises nothing", param_hint="--recipe")
    torch.set_num_threads(usable_cores())
    plain = load_source_module(source, component)
    calibration = calibration_inputs(source, component, settings, CALIBRATION_SEED)
    quantised = quantise_module(copy.deepcopy(plain), calibration, settings)
    layers = {name: part for name, part in quantised.named_modules() if isinstance(part, QuantisedLayer)}
    steps = settings.calibration_steps
    test = calibration_inputs(source, component, settings, _TEST_SEED)[:steps]
    calls = [test[0], test[steps // 2], test[-1]]
    wanted = [_run(plain, call) for call in calls]
    errors = {name: _errors(plain, name, layer, calls, wanted) for name, layer in layers.items()}
    table = Table("layer", "first step", "middle", "last")
    for name, parts in sorted(errors.items(), key=lambda entry: -max(entry[1]))[:shown]:
        table.add_row(name, *(f"{part:.4f}" for part in parts))
    others = sorted(errors.values(), key=lambda parts: -max(parts))[shown:]
    table.add_row(
        f"the other {len(others)} together", *(f"{_root(column):.4f}" for column in zip(*others, strict=True))
    )
    table.add_row("all, each alone", *(f"{_root(column):.4f}" for column in zip(*errors.values(), strict=True)))
    whole = [_relative(_run(quantised, call), due) for call, due in zip(calls, wanted, strict=True)]
    table.add_row("all at once", *(f"{part:.4f}" for part in whole))
    Console().print(table)


def _errors(
    module: nn.Module,
    name: str,
    layer: QuantisedLayer,
    calls: list[tuple[torch.Tensor, ...]],
    wanted: list[torch.Tensor],
) -> list[float]:
    """With this layer alone in the place of the module's own."""
    owner, _, attribute = name.rpartition(".")
    parent = module.get_submodule(owner)
    original = getattr(parent, attribute)
    setattr(parent, attribute, layer)
    try:
        return [_relative(_run(module, call), due) for call, due in zip(calls, wanted, strict=True)]
    finally:
        setattr(parent, attribute, original)


def _run(module: nn.Module, call: tuple[torch.Tensor, ...]) -> torch.Tensor:
    with torch.inference_mode():
        output: torch.Tensor = module(*call)
    return output


def _relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


def _root(errors: tuple[float, ...]) -> float:
    """Of the sum of squares, as independent errors add up."""
    return float(sum(error**2 for error in errors) ** 0.5)


if __name__ == "__main__":
    typer.run(main)
