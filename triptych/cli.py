"""The console command `triptych`."""

from pathlib import Path
from typing import Annotated

import typer

from export.cli.app import app as export_app
from export.cli.model_names import Aliases
from families.errors import FamilyError
from gateway.adapters.registry import find_models, find_vision, open_registry
from gateway.settings import SettingsError
from triptych.console import Config, console, fail, load_serving_settings, load_settings
from triptych.download.cli import download
from triptych.models_cli import app as models_app

app = typer.Typer(name="triptych", no_args_is_help=True, add_completion=False, help=__doc__, rich_markup_mode=None)
app.add_typer(models_app, name="models")
app.command()(download)

Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one.", show_default="8080")]
Backend = Annotated[str | None, typer.Option(help="triton, or inprocess: no Triton.", show_default="triton")]
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
    settings = load_serving_settings(
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
        return await serve(settings, models, open_inference(settings, models, vision), vision)

    try:
        models, vision = find_models(settings), find_vision(settings)
        raise typer.Exit(run_loop(run()))
    except (AddressError, SettingsError, TritonError, FamilyError) as error:
        raise fail(str(error)) from error


def export(context: typer.Context, config: Config = None) -> None:
    """Compile models, check them, write a Triton repository."""
    context.obj = Aliases(lambda: open_registry(load_settings(config)))


app.add_typer(export_app, name="export", callback=export)


@app.command()
def demo(backend: Backend = None, runtime_directory: RuntimeDirectory = None) -> None:
    """Start the whole stack, draw eight prompts at once, and show where the pictures are."""
    try:
        from triptych.demo import DemoError, run_demo  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise fail(f"the demo needs the package {error.name}: pip install 'triptych[demo]'") from error
    try:
        sheet = run_demo(runtime_directory or Path("runtime"), backend or "triton", console)
    except DemoError as error:
        raise fail(str(error)) from error
    console.print(f"pictures: {sheet.parent}\nall on one sheet: [bold]{sheet}[/]")
    console.print("serve it yourself: [bold]make serve[/], then see the README's first call")
