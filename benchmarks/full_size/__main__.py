"""`python -m benchmarks.full_size`: every item, or those that are named."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.full_size.items import ITEMS
from benchmarks.full_size.run import merge, run_item
from benchmarks.full_size.table import markdown

_RESULTS = Path(__file__).resolve().parents[1] / "results"
_KEYS = [item.key for item in ITEMS]


def main(
    *,
    only: Annotated[list[str] | None, typer.Option(help=f"Item, repeatable: {', '.join(_KEYS)}.")] = None,
    scratch: Annotated[Path | None, typer.Option(help="Folder for graphs and engines, 10 GB free.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the result, to which items are added.")] = _RESULTS,
) -> None:
    """Real sizes, random weights: to ONNX, compared with torch, to an engine."""
    console = Console()
    unknown = sorted(set(only or ()) - set(_KEYS))
    if unknown:
        raise typer.BadParameter(f"no item {', '.join(unknown)}; known are {', '.join(_KEYS)}", param_hint="--only")
    path = out / "full-size.json"
    failed = False
    for item in ITEMS:
        if not only or item.key in only:
            outcome = run_item(item, scratch, lambda text: console.print(text, highlight=False))
            failed = failed or bool(outcome.problem)
            report = merge([outcome], _KEYS, path)
            path.with_suffix(".md").write_text(markdown(report), encoding="utf-8")
            console.print(outcome, highlight=False)
    console.print(f"written to {path}", highlight=False)
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
