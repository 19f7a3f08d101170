"""Options and error handling that the export's commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from export.errors import ExportError
from families.errors import FamilyError

console = Console()
errors = Console(stderr=True)

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Model by its folder's name, alias, path, or NAME=PATH; repeatable.",
        show_default="all in --models-dir",
    ),
]
ModelsDirs = Annotated[
    list[Path] | None,
    typer.Option("--models-dir", help="Folder of models; repeatable.", show_default="the embedded models"),
]
Recipes = Annotated[
    list[str] | None,
    typer.Option("--recipe", help="Recipe's file, or name in configs/export; repeatable.", show_default="ONNX in fp32"),
]
RuntimeDir = Annotated[Path, typer.Option(help="Artefacts and the repository go here.")]
AsJson = Annotated[bool, typer.Option("--json", help="Plain values for programs.")]


@contextmanager
def errors_shown() -> Iterator[None]:
    """Known errors become one line and exit status 2."""
    try:
        yield
    except (ExportError, FamilyError) as error:
        errors.print("[red]error:[/]", end=" ")
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error
