"""What Triton hands to a Python model when it loads it, as typed values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.settings import RuntimeSettings, StepSettings
from families.manifest import Component
from families.repository import NATIVE_SUFFIX
from families.torch_options import TORCH_PARAMETER, TorchOptions
from families.vision.manifest import VisionTask


@dataclass(frozen=True, slots=True)
class ModelArguments:
    """One model instance. `max_batch` is Triton's `max_batch_size` (0 for the denoiser); `step` holds the rest."""

    name: str
    component: Component | VisionTask
    version_folder: Path
    runtime: str
    max_batch: int
    step: StepSettings


_RUNTIME = "runtime"
_STEP_PARAMETERS = ("max_rows", "queue_images", "deterministic_rows")
_KNOWN = (_RUNTIME, "threads", *_STEP_PARAMETERS)


def parse_arguments(args: Mapping[str, str]) -> ModelArguments:
    """From `TritonPythonModel.initialize`'s mapping. Raises ValueError naming the parameter that does not fit."""
    config: dict[str, Any] = json.loads(args["model_config"])
    name = args["model_name"]
    parameters = {key: str(value["string_value"]) for key, value in config.get("parameters", {}).items()}
    # Upper-case parameters are Triton's own (EXECUTION_ENV_PATH, ...).
    torch = {key: value for key, value in parameters.items() if key.startswith(TORCH_PARAMETER)}
    unknown = [key for key in parameters if key not in _KNOWN and key not in torch and not key.isupper()]
    if unknown:
        raise ValueError(f"{name}: unknown parameters {', '.join(sorted(unknown))}; known are {', '.join(_KNOWN)}")
    if _RUNTIME not in parameters:
        raise ValueError(f"{name}: config.pbtxt lacks the parameter {_RUNTIME!r}")
    numbers = {key: _number(name, key, parameters[key]) for key in parameters if key in _KNOWN and key != _RUNTIME}
    defaults = StepSettings()
    return ModelArguments(
        name=name,
        component=_component(name),
        version_folder=Path(args["model_repository"]) / args["model_version"],
        runtime=parameters[_RUNTIME],
        max_batch=int(config.get("max_batch_size", 0)),
        step=StepSettings(
            runtime=RuntimeSettings(
                threads=numbers.get("threads", 0), device=_device(args), torch=_torch_options(name, torch)
            ),
            max_rows=numbers.get("max_rows", defaults.max_rows),
            queue_images=numbers.get("queue_images", defaults.queue_images),
            deterministic_rows=numbers.get("deterministic_rows", defaults.deterministic_rows),
        ),
    )


def _torch_options(name: str, parameters: Mapping[str, str]) -> TorchOptions:
    try:
        return TorchOptions.parse({key.removeprefix(TORCH_PARAMETER): value for key, value in parameters.items()})
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _number(name: str, key: str, text: str) -> int:
    least = 0 if key == "threads" else 1
    try:
        value = int(text)
    except ValueError as error:
        raise ValueError(f"{name}: parameter {key!r} must be a whole number, got {text!r}") from error
    if value < least:
        raise ValueError(f"{name}: parameter {key!r} must be at least {least}, got {value}")
    return value


def _component(name: str) -> Component | VisionTask:
    suffix = name.rpartition(".")[2].removesuffix(NATIVE_SUFFIX)
    parts: tuple[Component | VisionTask, ...] = (*Component, *VisionTask)
    for part in parts:
        if part.value == suffix:
            return part
    known = ", ".join(parts)
    raise ValueError(f"{name}: a model is named <model>.<component>, the component one of {known}")


def _device(args: Mapping[str, str]) -> str:
    """Where Triton placed this instance."""
    kind = args.get("model_instance_kind", "CPU").removeprefix("KIND_")
    return f"cuda:{args.get('model_instance_device_id', '0')}" if kind == "GPU" else "cpu"
