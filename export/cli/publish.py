"""`triptych export publish`: write the model repository, and have a running Triton take it over."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from export.cli.choice import Work, chosen_work
from export.cli.console import progress_lines
from export.cli.model_names import Aliases
from export.cli.options import Models, ModelsDirs, Recipes, RuntimeDir, console, errors_shown
from export.cli.vision_names import chosen_vision
from export.errors import PublishError
from export.publishing.options import KEEP_VERSIONS, Backend, Device, PublishOptions, Runtime
from export.publishing.prepare import prepare_model
from export.publishing.publish import Published, prune_others
from export.publishing.vision import publish_vision
from families.batching import MAX_ROWS, QUEUE_IMAGES
from families.repository import REPOSITORY_FOLDER
from families.torch_options import TorchOptions

app = typer.Typer(rich_markup_mode=None)

Triton = Annotated[
    str | None,
    typer.Option(
        "--triton", help="gRPC address, host:port, of the Triton to reload.", show_default="that of `triptych serve`"
    ),
]


@app.command()
def publish(  # noqa: PLR0917 - one parameter an option, all passed by name
    context: typer.Context,
    models: Models = None,
    models_dirs: ModelsDirs = None,
    recipes: Recipes = None,
    runtime_dir: RuntimeDir = Path("runtime"),
    repository: Annotated[
        Path | None, typer.Option(help="The model repository.", show_default=f"<runtime dir>/{REPOSITORY_FOLDER}")
    ] = None,
    runtime: Annotated[Runtime, typer.Option(help="What runs components in the Python backend.")] = Runtime.ONNXRUNTIME,
    target: Annotated[
        Backend, typer.Option(help="Triton backend of text encoder and VAE; all but python are in the NGC image.")
    ] = Backend.PYTHON,
    device: Annotated[Device, typer.Option(help="Where Triton places the models.")] = Device.CPU,
    gpus: Annotated[list[int] | None, typer.Option("--gpu", min=0, help="GPU by number; repeatable.")] = None,
    instances: Annotated[int, typer.Option(min=1, help="Copies of text encoder and VAE on each device.")] = 1,
    threads: Annotated[int, typer.Option(min=0, help="Threads of one component; 0: every core.")] = 0,
    max_rows: Annotated[int, typer.Option(min=1, help="Largest batch of the step engine.")] = MAX_ROWS,
    queue_images: Annotated[int, typer.Option(min=1, help="Images the step engine holds.")] = QUEUE_IMAGES,
    native_denoiser: Annotated[
        bool, typer.Option("--native-denoiser", help="Also <model>.denoiser_native: one batched call is one step.")
    ] = False,
    warm_up: Annotated[
        bool, typer.Option("--warm-up", help="Have Triton run text encoder and VAE before they are ready.")
    ] = False,
    response_cache: Annotated[
        bool, typer.Option("--response-cache", help="Triton's own cache, of the text encoder; off: see the guide.")
    ] = False,
    torch: Annotated[
        list[str] | None, typer.Option("--torch", help="Option of the torch runtime, NAME=VALUE; repeatable.")
    ] = None,
    lora_dirs: Annotated[
        list[Path] | None,
        typer.Option("--lora-dir", help="Folder of LoRA for every model that they fit; repeatable. Only torch."),
    ] = None,
    vision: Annotated[
        list[str] | None,
        typer.Option("--vision", help="NAME=FOLDER of a vision model, or NAME=GRAPH.onnx=MANIFEST.json; repeatable."),
    ] = None,
    keep: Annotated[int, typer.Option(min=1, help="Versions to keep of each model.")] = KEEP_VERSIONS,
    reload: Annotated[bool, typer.Option("--reload", help="Have a running Triton take the new version over.")] = False,
    triton: Triton = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove published models that this command does not publish.")
    ] = False,
) -> None:
    """Write the model repository, building what is missing. Nothing is touched where nothing changed."""
    options = PublishOptions(
        runtime=runtime,
        backend=target,
        device=device,
        threads=threads,
        max_rows=max_rows,
        queue_images=queue_images,
        native_denoiser=native_denoiser,
        warm_up=warm_up,
        response_cache=response_cache,
        instances=instances,
        gpus=tuple(gpus or ()),
        torch=_torch_options(torch or []),
    )
    folder = repository or runtime_dir / REPOSITORY_FOLDER
    with errors_shown():
        published: list[Published] = []
        with progress_lines(console) as progress:
            for work in _one_recipe_a_model(chosen_work(context.find_object(Aliases), models, models_dirs, recipes)):
                published.append(
                    prepare_model(
                        replace(work.source, shared_loras=tuple(lora_dirs or ())),
                        runtime_dir,
                        folder,
                        options,
                        progress,
                        recipe=work.recipe,
                        keep=keep,
                    )
                )
        seeing = chosen_vision(vision, models_dirs, all_models=not models and not recipes)
        published += [publish_vision(source, folder, options, keep) for source in seeing]
        for release in published:
            console.print(f"{release.model}: version {release.version}")
        console.print(f"repository: {folder}")
        if reload or triton is not None:
            _reload(published, folder, runtime_dir, triton)
        if prune:
            gone, served = prune_others(folder, [release.model for release in published])
            for name in gone:
                console.print(f"{name}: removed")
            for name in served:
                console.print(f"{name}: is still served and stays")


def _torch_options(given: list[str]) -> TorchOptions:
    try:
        return TorchOptions.parse(dict(_pair(text) for text in given))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--torch") from error


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise ValueError(f"{text!r} is not NAME=VALUE")
    return name, value


def _one_recipe_a_model(works: tuple[Work, ...]) -> tuple[Work, ...]:
    """A repository holds one build of each model; a second recipe would replace what the first one published."""
    names = [work.source.manifest.name for work in works]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PublishError(f"several recipes for {', '.join(twice)}: publish one recipe a model")
    return works


def _reload(published: list[Published], folder: Path, runtime_dir: Path, address: str | None) -> None:
    # gRPC takes a while to load, and most publications reload nothing.
    from export.publishing.live import SwapStage, swap  # noqa: PLC0415
    from export.publishing.running_triton import RunningTriton, find_triton  # noqa: PLC0415

    with RunningTriton(address or find_triton(runtime_dir)) as triton:
        for release in published:
            with console.status(release.model) as status:

                def tell(stage: SwapStage, model: str = release.model) -> None:
                    status.update(f"{model}: {stage}")

                old = swap(release, folder, triton, tell=tell)
            replaced = (
                f"in place of {', '.join(map(str, old))}" if old else "already served, loaded anew where it changed"
            )
            console.print(f"{release.model}: Triton serves version {release.version}, {replaced}")
