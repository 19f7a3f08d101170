"""The options of `triptych download`. The HTTP client is loaded when the command runs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway.adapters.registry import open_registry
from triptych.console import Config, console, fail, load_settings, mistakes_shown
from triptych.download.errors import DownloadError

Source = Annotated[str, typer.Argument(help="Alias, or <owner>/<name> on Hugging Face.", metavar="ALIAS|REPOSITORY")]
Files = Annotated[
    list[str] | None,
    typer.Option("--file", help="Glob of files to take; repeatable.", show_default="the alias's own, else all"),
]
Revision = Annotated[str, typer.Option(help="Branch, tag or commit.")]
To = Annotated[Path | None, typer.Option(help="Folder.", show_default="<first root>/<alias or name>")]
TokenVariable = Annotated[
    str, typer.Option("--token-env", help="Environment variable that holds the access token; never the token itself.")
]
Endpoint = Annotated[
    str | None, typer.Option(help="Address of the hub.", show_default="HF_ENDPOINT or https://huggingface.co")
]


def download(  # noqa: PLR0917 - one parameter an option, all passed by name
    source: Source,
    files: Files = None,
    revision: Revision = "main",
    to: To = None,
    token_variable: TokenVariable = "HF_TOKEN",  # noqa: S107 - a variable's name
    endpoint: Endpoint = None,
    config: Config = None,
) -> None:
    """Download weights, configurations and tokenizers; run it again to go on after an interrupt."""
    settings = load_settings(config)
    try:
        from triptych.download.command import DownloadOptions, run_download  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise fail(f"downloads need the package {error.name}: pip install 'triptych[download]'") from error
    options = DownloadOptions(source, tuple(files or ()), revision, to, token_variable, endpoint)
    with mistakes_shown():
        registry = open_registry(settings)
    try:
        with mistakes_shown():
            folder = run_download(options, registry, settings.registry.roots[0], console)
    except DownloadError as error:
        raise fail(str(error)) from error
    except KeyboardInterrupt as error:
        raise fail("interrupted; run the same command again to go on", status=130) from error
    finally:
        registry.close()
    console.print(f"in [bold]{escape(str(folder))}[/]; triptych models resolve shows what lies there", soft_wrap=True)
