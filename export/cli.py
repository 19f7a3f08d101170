"""`triptych export`: compile models, check them, write a Triton repository."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from export.build import Builder
from export.console import failure_table, progress_lines, summary_table
from export.errors import ExportError
from export.options import Backend, Device, PublishOptions, Runtime
from export.prepare import prepare_model
from export.report import VerificationReport, parse_report
from families.batching import MAX_ROWS, QUEUE_IMAGES
from families.catalog import ModelSource, discover
from families.embedded import embedded_models
from families.errors import FamilyError
from families.repository import REPOSITORY_FOLDER

app = typer.Typer(no_args_is_help=True, help=__doc__, rich_markup_mode=None)
console = Console()
errors = Console(stderr=True)

Models = Annotated[list[str] | None, typer.Option("--model", help="Model by name; repeatable.", show_default="all")]
ModelsDirs = Annotated[
    list[Path] | None,
    typer.Option("--models-dir", help="Folder of diffusers folders; repeatable.", show_default="the embedded models"),
]
RuntimeDir = Annotated[Path, typer.Option(help="Artefacts and the repository go here.")]


@app.command()
def build(models: Models = None, models_dirs: ModelsDirs = None, runtime_dir: RuntimeDir = Path("runtime")) -> None:
    """Compile and check every component that has no artefact yet."""
    with _errors_shown():
        sources = _sources(models, models_dirs)
        reports: list[VerificationReport] = []
        with progress_lines(console) as progress:
            builder = Builder(runtime_dir, progress=progress)
            for source in sources:
                reports.extend(parse_report(artefact.report_text()) for artefact in builder.build(source))
        console.print(summary_table(tuple(reports)))


@app.command()
def verify(models: Models = None, models_dirs: ModelsDirs = None, runtime_dir: RuntimeDir = Path("runtime")) -> None:
    """Repeat the checks on artefacts that are built; exit status 1 if one fails."""
    with _errors_shown():
        builder = Builder(runtime_dir)
        with console.status("comparing with torch"):
            reports = tuple(report for source in _sources(models, models_dirs) for report in builder.verify(source))
    console.print(summary_table(reports))
    failures = tuple(check for report in reports for check in report.failures)
    if failures:
        console.print(failure_table(failures))
        raise typer.Exit(1)


@app.command()
def publish(  # noqa: PLR0917 - one parameter an option, all passed by name
    models: Models = None,
    models_dirs: ModelsDirs = None,
    runtime_dir: RuntimeDir = Path("runtime"),
    repository: Annotated[
        Path | None, typer.Option(help="The model repository.", show_default=f"<runtime dir>/{REPOSITORY_FOLDER}")
    ] = None,
    runtime: Annotated[Runtime, typer.Option(help="What runs components in the Python backend.")] = Runtime.ONNXRUNTIME,
    target: Annotated[
        Backend, typer.Option(help="Triton backend of text encoder and VAE; onnxruntime is in the NGC image.")
    ] = Backend.PYTHON,
    device: Annotated[Device, typer.Option(help="Where Triton places the models.")] = Device.CPU,
    threads: Annotated[int, typer.Option(min=0, help="Threads of one component; 0: every core.")] = 0,
    max_rows: Annotated[int, typer.Option(min=1, help="Largest batch of the step engine.")] = MAX_ROWS,
    queue_images: Annotated[int, typer.Option(min=1, help="Images the step engine holds.")] = QUEUE_IMAGES,
) -> None:
    """Write the model repository, building what is missing. Nothing is touched where nothing changed."""
    options = PublishOptions(runtime, target, device, threads, max_rows, queue_images)
    folder = repository or runtime_dir / REPOSITORY_FOLDER
    with _errors_shown():
        with progress_lines(console) as progress:
            for source in _sources(models, models_dirs):
                prepare_model(source, runtime_dir, folder, options, progress)
        console.print(f"repository: {folder}")


def _sources(names: list[str] | None, directories: list[Path] | None) -> tuple[ModelSource, ...]:
    """The chosen models. Raises ExportError naming what is not there."""
    found = discover(directories or [embedded_models()])
    unknown = sorted(set(names or ()) - set(found))
    if unknown or not found:
        known = ", ".join(found) or "none: name their folder with --models-dir"
        raise ExportError(f"no model {', '.join(unknown)}; known are {known}" if unknown else f"models found: {known}")
    return tuple(source for name, source in found.items() if not names or name in names)


@contextmanager
def _errors_shown() -> Iterator[None]:
    """Known errors become one line and exit status 2."""
    try:
        yield
    except (ExportError, FamilyError) as error:
        errors.print(f"[red]error:[/] {error}", soft_wrap=True)
        raise typer.Exit(2) from error
