"""`triptych models`: what would be served, and where models are found by alias."""

import json
from functools import partial
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from families.registry import ModelRegistry, ModelReport, Status
from families.registry.resolve import Resolution
from gateway.adapters.registry import find_models, open_registry
from triptych.console import Config, console, errors, load_serving_settings, load_settings, mistakes_shown
from triptych.models_tables import resolution_details, resolution_table, served_table

app = typer.Typer(help=__doc__, rich_markup_mode=None, invoke_without_command=True)

Aliases = Annotated[list[str] | None, typer.Argument(help="Aliases from the registry file.", show_default="all")]


@app.callback()
def models(context: typer.Context, config: Config = None) -> None:
    """What would be served, and where models are found by alias. Without a command: `list`."""
    if context.invoked_subcommand is None:
        list_models(config)


@app.command("list")
def list_models(config: Config = None) -> None:
    """List the models that would be served."""
    settings = load_serving_settings(config)
    with mistakes_shown():
        found = find_models(settings)
    console.print(served_table(found))


@app.command()
def resolve(
    aliases: Aliases = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The reports as JSON, as GET /v1/registry gives them.")
    ] = False,
    hashes: Annotated[bool, typer.Option("--hash/--no-hash", help="Read every byte for its sha256.")] = True,
    config: Config = None,
) -> None:
    """Show where each alias comes from and what was looked at. Exit status 1 if one that was named is not found."""
    settings = load_settings(config)
    with mistakes_shown():
        registry = open_registry(settings)
        try:
            found = [registry.resolve(alias) for alias in aliases or registry.aliases]
            reports = [item.report for item in found] if not hashes else _hash(registry, found)
        finally:
            registry.close()
    if as_json:
        data = [report.model_dump(mode="json") for report in reports]
        typer.echo(json.dumps({"data": data, "problems": registry.problems}, indent=2))
    else:
        console.print(resolution_table(reports))
        for report in reports:
            if aliases or report.problems or report.status is Status.FOUND:
                console.print(resolution_details(report, search=bool(aliases)), soft_wrap=True)
        for problem in registry.problems:
            console.print(f"[yellow]warning:[/] {problem}", soft_wrap=True)
    if aliases and any(report.status is not Status.FOUND for report in reports):
        raise typer.Exit(1)


def _hash(registry: ModelRegistry, found: list[Resolution]) -> list[ModelReport]:
    """Hash one after the other, with a bar where somebody watches."""
    columns = (TextColumn("hashing {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        reports = []
        for item in found:
            bar = progress.add_task(item.report.alias, total=item.report.size_bytes)
            reports.append(registry.hash_now(item, partial(progress.advance, bar)))
            progress.remove_task(bar)
        return reports
