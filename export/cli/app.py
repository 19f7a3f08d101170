"""`triptych export`: compile models, check them, write a Triton repository."""

from pathlib import Path
from typing import Annotated

import typer

from export.build import Builder
from export.cli import publish, store
from export.cli.choice import chosen_work
from export.cli.console import failure_table, progress_lines, summary_table
from export.cli.model_names import Aliases
from export.cli.options import Models, ModelsDirs, Recipes, RuntimeDir, console, errors, errors_shown
from export.errors import CorruptArtefactError
from export.verification.report import VerificationReport, parse_report
from export.verification.report_page import write_reports

app = typer.Typer(no_args_is_help=True, help=__doc__, rich_markup_mode=None)
app.add_typer(publish.app)
app.add_typer(store.app)


@app.command()
def build(
    context: typer.Context,
    models: Models = None,
    models_dirs: ModelsDirs = None,
    recipes: Recipes = None,
    runtime_dir: RuntimeDir = Path("runtime"),
) -> None:
    """Compile and check every component that has no artefact yet."""
    with errors_shown():
        reports: list[VerificationReport] = []
        with progress_lines(console) as progress:
            builder = Builder(runtime_dir, progress)
            for work in chosen_work(context.find_object(Aliases), models, models_dirs, recipes):
                built = builder.build(work.source, work.recipe)
                reports.extend(parse_report(artefact.report_text()) for artefact in built)
        console.print(summary_table(tuple(reports)))


@app.command()
def verify(  # noqa: PLR0917 - one parameter an option, all passed by name
    context: typer.Context,
    models: Models = None,
    models_dirs: ModelsDirs = None,
    recipes: Recipes = None,
    runtime_dir: RuntimeDir = Path("runtime"),
    report_dir: Annotated[Path | None, typer.Option(help="Write each report here, as a page and as JSON.")] = None,
) -> None:
    """Repeat the checks on artefacts that are built; exit status 1 if one fails."""
    with errors_shown():
        builder = Builder(runtime_dir)
        try:
            with console.status("comparing with torch"):
                reports = tuple(
                    report
                    for work in chosen_work(context.find_object(Aliases), models, models_dirs, recipes)
                    for report in builder.verify(work.source, work.recipe)
                )
        except CorruptArtefactError as error:
            errors.print(f"[red]failed:[/] {error}", soft_wrap=True)
            raise typer.Exit(1) from error
    if report_dir is not None:
        write_reports(reports, report_dir)
    console.print(summary_table(reports))
    failures = tuple(check for report in reports for check in report.failures)
    if failures:
        console.print(failure_table(failures))
        raise typer.Exit(1)
