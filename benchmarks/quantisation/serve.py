"""`python -m benchmarks.quantisation.serve`: keeps every precision up side by side, each under its recipe's name."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.quantisation.builds import build
from benchmarks.quantisation.precisions import RECIPES, Way, way_of
from benchmarks.quantisation.stack import Deployment, deploy, serving
from families.catalog import load_source

_ROOT = Path(__file__).resolve().parents[2]


def main(
    *,
    model: Annotated[Path, typer.Option(help="The embedded model's folder.")] = _ROOT / "wardrobe/weights/wardrobe",
    runtime_directory: Annotated[Path, typer.Option(help="Where artefacts lie.")] = _ROOT / "runtime",
) -> None:
    """Serve until interrupted; `--base-url` of the other commands takes the address."""
    builds = [build(name, load_source(model), runtime_directory) for name in RECIPES]
    served = [built for built in builds if way_of(built.recipe) is Way.SERVED]
    asyncio.run(_keep(deploy(served, model, runtime_directory / "quantisation")))


async def _keep(deployment: Deployment) -> None:
    async with serving(deployment) as url:
        Console().print(f"{', '.join(deployment.names)} on {url}", highlight=False, soft_wrap=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    typer.run(main)
