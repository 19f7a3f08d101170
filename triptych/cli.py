"""The console command `triptych`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from export.cli import app as export_app
from families.catalog import discover
from families.embedded import embedded_models
from families.errors import FamilyError
from gateway.settings import Settings, SettingsError

app = typer.Typer(name="triptych", no_args_is_help=True, add_completion=False, help=__doc__, rich_markup_mode=None)
app.add_typer(export_app, name="export")
console = Console()
errors = Console(stderr=True)

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one.", show_default="8080")]
Backend = Annotated[str | None, typer.Option(help="triton, or inprocess: no Triton.", show_default="triton")]
Config = Annotated[Path | None, typer.Option(help="YAML file with settings.", exists=True, dir_okay=False)]
RuntimeDirectory = Annotated[Path | None, typer.Option(help="Artefacts, pictures, logs.", show_default="runtime")]


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    backend: Backend = None,
    config: Config = None,
    runtime_directory: RuntimeDirectory = None,
) -> None:
    """Run the gateway and what serves the models behind it."""
    settings = _settings(
        config,
        {
            "server.host": host,
            "server.port": port,
            "backend.kind": backend,
            "runtime_directory": None if runtime_directory is None else str(runtime_directory),
        },
    )
    # The command line answers --help without loading a web server.
    from gateway.logs import configure_logging  # noqa: PLC0415
    from triptych.inference import open_inference  # noqa: PLC0415
    from triptych.serving import AddressError, run_loop, serve  # noqa: PLC0415
    from triptych.triton import TritonError  # noqa: PLC0415

    configure_logging(settings.logging)

    async def run() -> int:
        return await serve(settings, open_inference(settings))

    try:
        raise typer.Exit(run_loop(run()))
    except (AddressError, SettingsError, TritonError, FamilyError) as error:
        raise _fail(str(error)) from error


@app.command()
def demo(backend: Backend = None, runtime_directory: RuntimeDirectory = None) -> None:
    """Start the whole stack, draw eight prompts at once, and show where the pictures are."""
    try:
        from triptych.demo import DemoError, run_demo  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _fail(f"the demo needs the package {error.name}: pip install 'triptych[demo]'") from error
    try:
        sheet = run_demo(runtime_directory or Path("runtime"), backend or "triton", console)
    except DemoError as error:
        raise _fail(str(error)) from error
    console.print(f"pictures: {sheet.parent}\nall on one sheet: [bold]{sheet}[/]")
    console.print("serve it yourself: [bold]make serve[/], then see the README's first call")


@app.command()
def models(config: Config = None) -> None:
    """List the models that would be served."""
    settings = _settings(config, {})
    try:
        found = discover(settings.models.directories)
    except FamilyError as error:
        raise _fail(str(error)) from error
    table = Table("id", "family", "size", "steps", "scheduler", "guidance", "licence", "folder")
    for name, source in found.items():
        size, defaults = source.manifest.size, source.manifest.defaults
        table.add_row(
            f"sd/{name}",
            source.manifest.family,
            f"{size.default_width}x{size.default_height}",
            str(defaults.steps),
            defaults.scheduler,
            f"{defaults.guidance_scale:g}",
            source.manifest.licence,
            str(source.folder),
        )
    console.print(table)


def _settings(config: Path | None, overrides: dict[str, str | int | None]) -> Settings:
    """Settings whose model directories include the embedded model's where none are configured."""
    try:
        settings = Settings.load(config, overrides)
    except SettingsError as error:
        raise _fail(str(error)) from error
    if settings.models.directories:
        return settings
    embedded = settings.models.model_copy(update={"directories": (embedded_models(),)})
    return settings.model_copy(update={"models": embedded})


def _fail(message: str) -> typer.Exit:
    errors.print(f"[red]error:[/] {message}")
    return typer.Exit(2)
