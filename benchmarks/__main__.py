"""`python -m benchmarks`: the comparison, on this machine."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.contenders import CONTENDERS, OURS, chosen
from benchmarks.ours import publish
from benchmarks.report import markdown, show
from benchmarks.results import save
from benchmarks.runner import run_all
from benchmarks.workload import DEFAULT_STEPS, FULL, QUICK, describe

_ROOT = Path(__file__).resolve().parent.parent
_KEYS = ", ".join(contender.key for contender in CONTENDERS)


def main(
    *,
    model: Annotated[Path, typer.Option(help="A diffusers StableDiffusionPipeline folder.")] = _ROOT
    / "wardrobe/weights/wardrobe",
    steps: Annotated[int, typer.Option(help="Steps of the ordinary requests.")] = DEFAULT_STEPS,
    quick: Annotated[bool, typer.Option(help="One short repeat: does everything work? Figures mean little.")] = False,
    seconds: Annotated[float, typer.Option(help="No repeat begins that would end later.")] = FULL.budget_s,
    only: Annotated[list[str] | None, typer.Option(help=f"Contender to visit, repeatable: {_KEYS}.")] = None,
    runtime_directory: Annotated[Path, typer.Option(help="Where Triptych keeps its compiled model.")] = _ROOT
    / "runtime",
    out: Annotated[Path, typer.Option(help="Folder for the result.")] = _ROOT / "benchmarks/results",
) -> None:
    """Ours and the peers side by side: same weights, same settings, one after another."""
    console = Console()
    try:
        contenders = chosen(only or [])
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--only") from error
    workload = describe(model, runtime_directory, steps=steps)
    with console.status("publishing the model") as status:
        if any(contender.key in OURS for contender in contenders):
            publish(workload)
        run = run_all(contenders, workload, QUICK if quick else replace(FULL, budget_s=seconds), status.update)
    show(run, console)
    path = save(run, out)
    path.with_suffix(".md").write_text(markdown(run), encoding="utf-8")
    console.print(f"{run.seconds:.0f} s; written to {path}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
