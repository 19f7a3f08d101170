"""What the commands share: the terminal, settings, and mistakes as one line with exit status 2."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from families.embedded import embedded_models
from families.errors import FamilyError
from gateway.settings import Scalar, Settings, SettingsError

console = Console()
errors = Console(stderr=True)

Config = Annotated[Path | None, typer.Option(help="YAML file with settings.", exists=True, dir_okay=False)]


def load_settings(config: Path | None, overrides: dict[str, Scalar] | None = None) -> Settings:
    """The settings; a mistake in them ends the command."""
    with mistakes_shown():
        return Settings.load(config, overrides or {})


def load_serving_settings(config: Path | None, overrides: dict[str, Scalar] | None = None) -> Settings:
    """Settings whose model directories are the embedded models' where none are configured."""
    settings = load_settings(config, overrides)
    if settings.models.directories:
        return settings
    with mistakes_shown():
        embedded = settings.models.model_copy(update={"directories": (embedded_models(),)})
    return settings.model_copy(update={"models": embedded})


@contextmanager
def mistakes_shown() -> Iterator[None]:
    """Errors that name the user's mistake become one line and exit status 2."""
    try:
        yield
    except (SettingsError, FamilyError) as error:
        raise fail(str(error)) from error


def fail(message: str, status: int = 2) -> typer.Exit:
    """Say what is wrong; raise what this returns."""
    errors.print(f"[red]error:[/] {escape(message)}", soft_wrap=True)
    return typer.Exit(status)
