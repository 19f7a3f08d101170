"""`triptych export plan`, `list` and `prune`: what is built, what would be, what may go."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from export.artefacts.prune import PruneRule, parse_age, remove, remove_remains, superfluous
from export.artefacts.usage import StoredUse, stored_uses
from export.build import Builder
from export.cli.choice import chosen_work, known_recipes
from export.cli.model_names import Aliases, ModelNames
from export.cli.options import AsJson, Models, ModelsDirs, Recipes, RuntimeDir, console, errors_shown
from export.cli.tables import plan_json, plan_lines, readable_size, stored_json, stored_lines
from export.plan import Verdict, plan
from families.repository import REPOSITORY_FOLDER

app = typer.Typer()

Repositories = Annotated[
    list[Path] | None,
    typer.Option("--repository", help="Model repositories that count as use.", show_default="<runtime dir>'s"),
]


@app.command(name="plan")
def plan_command(  # noqa: PLR0917 - one parameter an option, all passed by name
    context: typer.Context,
    models: Models = None,
    models_dirs: ModelsDirs = None,
    recipes: Recipes = None,
    runtime_dir: RuntimeDir = Path("runtime"),
    as_json: AsJson = False,
) -> None:
    """Say per component whether a build would find it, why not, how large it is and where it goes."""
    with errors_shown():
        builder = Builder(runtime_dir)
        steps = [
            step
            for work in chosen_work(context.find_object(Aliases), models, models_dirs, recipes)
            for step in plan(builder, work.source, work.recipe)
        ]
    if as_json:
        typer.echo(json.dumps(plan_json(steps), indent=2))
        return
    for line in plan_lines(steps):
        console.print(line, soft_wrap=True)
    missing = [step for step in steps if step.verdict is not Verdict.HIT]
    if missing:
        needed, free = sum(step.size for step in missing), missing[0].free
        console.print(f"{len(missing)} to build into {builder.store.root}: about {readable_size(needed)}", end="")
        console.print(f", {readable_size(free)} free" + ("" if free > needed else " [red](too little)[/]"))


@app.command(name="list")
def list_command(
    context: typer.Context,
    models_dirs: ModelsDirs = None,
    runtime_dir: RuntimeDir = Path("runtime"),
    repositories: Repositories = None,
    as_json: AsJson = False,
) -> None:
    """Show the artefacts that are stored, and who uses them."""
    with errors_shown():
        builder = Builder(runtime_dir)
        uses = _uses(context.find_object(Aliases), builder, models_dirs, repositories, runtime_dir)
    if as_json:
        typer.echo(json.dumps(stored_json(uses), indent=2))
        return
    _show(uses)
    if not uses:
        console.print(f"no artefacts in {builder.store.root}")


@app.command()
def prune(  # noqa: PLR0917 - one parameter an option, all passed by name
    context: typer.Context,
    models_dirs: ModelsDirs = None,
    runtime_dir: RuntimeDir = Path("runtime"),
    repositories: Repositories = None,
    keep: Annotated[int, typer.Option(min=0, help="Unused artefacts of each component to keep, newest first.")] = 0,
    older_than: Annotated[str, typer.Option(help="Only older ones: 12h, 7d, 2w.")] = "0s",
    dry_run: Annotated[bool, typer.Option(help="Say what would go, remove nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove artefacts that neither a recipe nor a published model uses, and what dead builds left behind."""
    with errors_shown():
        rule, builder = PruneRule(keep, parse_age(older_than)), Builder(runtime_dir)
        uses = _uses(context.find_object(Aliases), builder, models_dirs, repositories, runtime_dir)
        chosen = superfluous(uses, rule, time.time())
        _show([StoredUse(artefact, ()) for artefact in chosen])
        freed = readable_size(sum(artefact.record.size for artefact in chosen))
        if dry_run:
            console.print(f"would remove {len(chosen)} artefacts, {freed}")
            return
        if chosen and not yes:
            typer.confirm(f"Remove {len(chosen)} artefacts, {freed}?", abort=True)
        for artefact in chosen:
            remove(artefact.folder)
        remains = remove_remains(builder.store)
        console.print(f"removed {len(chosen)} artefacts, {freed}, and {len(remains)} remains of dead builds")


def _show(uses: Sequence[StoredUse]) -> None:
    for line in stored_lines(uses, time.time()):
        console.print(line, soft_wrap=True)


def _uses(
    aliases: Aliases | None,
    builder: Builder,
    models_dirs: Sequence[Path] | None,
    repositories: Sequence[Path] | None,
    runtime_dir: Path,
) -> tuple[StoredUse, ...]:
    built = {artefact.model for artefact in builder.store.artefacts()}
    found = ModelNames(aliases, models_dirs).known(built)
    return stored_uses(builder, found.values(), known_recipes(found), repositories or [runtime_dir / REPOSITORY_FOLDER])
