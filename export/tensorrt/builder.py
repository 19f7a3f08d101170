"""The one builder for both libraries: an ONNX file in, a serialised engine out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import RuntimeUnavailableError
from engine.runtimes.tensorrt_description import (
    EngineDescription,
    ShapeLimits,
    write_description,
)
from engine.runtimes.tensorrt_library import LIBRARIES, Library, import_library
from engine.runtimes.tensorrt_log import joined, library_log
from export.errors import BuildError
from export.recipe import EngineFlags, Target
from export.targets import StepListener, ignore_steps
from export.tensorrt.environment import local_gpu
from export.tensorrt.graph import prepare_graph
from export.tensorrt.network import ParsedNetwork, empty_network, parse
from export.tensorrt.options import apply_flags
from export.tensorrt.profiles import EngineProfile
from export.tensorrt.progress import BuildSteps, progress_monitor
from export.tensorrt.timing_cache import timing_cache
from families.repository import PLAN_FILE

_log = logging.getLogger(__name__)

# The libraries' builders are not made for two builds at a time in one process, nor is the memory of most machines.
_ONE_BUILD = threading.Lock()
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What to build. `onnx` has its external data beside it; `timing_caches` is a folder, None for none.

    Attention with more scores than `most_elements` runs in pieces; None: the library's own limit, if it has one.
    """

    target: Target
    onnx: Path
    profiles: tuple[EngineProfile, ...]
    flags: EngineFlags
    timing_caches: Path | None = None
    most_elements: int | None = None


def load_library(target: Target) -> tuple[Library, Any]:
    """A target's library and its module. Raises BuildError saying what to install."""
    library = LIBRARIES[target.value]
    try:
        return library, import_library(library)
    except RuntimeUnavailableError as error:
        raise BuildError(str(error)) from error


def build_engine(request: EngineRequest, destination: Path, progress: StepListener = ignore_steps) -> EngineDescription:
    """Write `model.plan` and `engine.json` into the folder `destination`.

    Raises BuildError with the library's own words, RecipeError naming a flag that the library does not have. On
    KeyboardInterrupt the library stops at its next step and the interrupt is raised again.
    """
    library, module = load_library(request.target)
    with _ONE_BUILD:
        parsed = empty_network(module)
        graph = prepare_graph(request.onnx, request.profiles, request.most_elements or library.most_elements)
        parse(module, parsed, graph)
        config = parsed.builder.create_builder_config()
        apply_flags(module, library, config, request.flags)
        _add_profiles(parsed, config, request.profiles)
        plan = destination / PLAN_FILE
        steps = BuildSteps(progress)
        monitor = progress_monitor(module, steps)
        config.progress_monitor = monitor
        with _kernels_remembered(request, library, module, config):
            _compile(module, parsed, config, plan, steps)
    description = EngineDescription(
        library=library.name,
        version=str(module.__version__),
        gpu=local_gpu().name,
        compute_capabilities=request.flags.compute_capabilities,
        inputs=parsed.inputs,
        outputs=parsed.outputs,
        profiles=tuple(
            tuple(ShapeLimits(shapes.name, shapes.min, shapes.opt, shapes.max) for shapes in profile.inputs)
            for profile in request.profiles
        ),
        layers=int(parsed.network.num_layers),
        plan_bytes=plan.stat().st_size,
    )
    write_description(description, destination)
    return description


def _add_profiles(parsed: ParsedNetwork, config: Any, profiles: tuple[EngineProfile, ...]) -> None:
    """Profiles in their order. Raises BuildError where the graph's inputs are not those of the signature."""
    found = {tensor.name: tensor for tensor in parsed.inputs}
    for index, profile in enumerate(profiles):
        expected = {shapes.name for shapes in profile.inputs}
        if expected != set(found):
            raise BuildError(f"the graph takes {sorted(found)}, its signature says {sorted(expected)}")
        made = parsed.builder.create_optimization_profile()
        for shapes in profile.inputs:
            given = found[shapes.name].shape
            if len(given) != len(shapes.max) or any(
                side not in {-1, low} or (side != -1 and low != high)
                for side, low, high in zip(given, shapes.min, shapes.max, strict=True)
            ):
                raise BuildError(f"input {shapes.name!r} is {given} in the graph, the profile has up to {shapes.max}")
            made.set_shape(shapes.name, shapes.min, shapes.opt, shapes.max)
        if config.add_optimization_profile(made) < 0:
            raise BuildError(f"profiles[{index}] was refused")


@contextmanager
def _kernels_remembered(request: EngineRequest, library: Library, module: Any, config: Any) -> Iterator[None]:
    if request.timing_caches is None or not library.times_kernels:
        yield
        return
    cache = timing_cache(request.timing_caches, library, str(module.__version__), local_gpu())
    cache.attach(config)
    yield
    cache.merge(config)


def _compile(module: Any, parsed: ParsedNetwork, config: Any, plan: Path, steps: BuildSteps) -> None:
    """Run the library on a thread of its own: Python handles an interrupt on the main one, meanwhile."""
    _, trap = library_log(module)
    outcome: list[bool | BaseException] = []

    def work() -> None:
        try:
            outcome.append(_write_plan(module, parsed, config, plan))
        except BaseException as error:
            outcome.append(error)

    with trap.collecting() as errors:
        worker = threading.Thread(target=work, name="engine-builder", daemon=True)
        worker.start()
        try:
            while worker.is_alive():
                worker.join(_POLL_SECONDS)
        except BaseException:
            steps.cancel()
            worker.join()
            raise
    (result,) = outcome
    if steps.failure is not None:
        raise steps.failure
    if isinstance(result, BaseException):
        raise result
    if not result:
        raise BuildError(f"the engine cannot be built: {joined(errors)}")


def _write_plan(module: Any, parsed: ParsedNetwork, config: Any, plan: Path) -> bool:
    """Serialise to the file; streamed where the library can, as engines hold all weights. False on failure."""
    if not hasattr(parsed.builder, "build_serialized_network_to_stream"):
        memory = parsed.builder.build_serialized_network(parsed.network, config)
        if memory is None:
            return False
        plan.write_bytes(memory)
        return True
    with plan.open("wb") as file:

        class Writer(module.IStreamWriter):  # type: ignore[misc]  # the base is whichever library is installed
            def __init__(self) -> None:
                module.IStreamWriter.__init__(self)

            def write(self, data: bytes) -> int:
                return file.write(data)

        built = parsed.builder.build_serialized_network_to_stream(parsed.network, config, Writer())
    return bool(built) and plan.stat().st_size > 0
