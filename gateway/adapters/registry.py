"""Opens the model registry as the settings say, and finds the models that are served."""

import logging
import os
from dataclasses import replace

from families.catalog import ModelSource, discover
from families.registry import (
    SHIPPED_FILE,
    VARIABLE_PREFIX,
    Declarations,
    ModelRegistry,
    found_aliases,
    load_declarations,
    open_alias,
)
from families.registry.vision import found_vision, vision_aliases
from families.vision.source import VisionSource, discover_vision
from gateway.settings import Settings

logger = logging.getLogger(__name__)


def open_registry(settings: Settings) -> ModelRegistry:
    """Its reader must close it. Raises RegistryError for declarations that cannot be used."""
    file = settings.registry.file or SHIPPED_FILE
    if settings.registry.file is None and not file.exists():
        logger.warning("%s is not installed: no model has an alias; name a file as registry.file", file.name)
        declarations = Declarations(models=())
    else:
        declarations = load_declarations(file)
    variables = {name: value for name, value in os.environ.items() if name.startswith(VARIABLE_PREFIX)}
    return ModelRegistry(declarations, settings.registry.roots, variables, settings.runtime_directory)


def find_models(settings: Settings) -> dict[str, ModelSource]:
    """The models that are served, by name: those of `models.directories`, and before them those that have an alias.

    Headers are read and nothing is hashed. Raises FamilyError for what the settings name and cannot be served.
    """
    folders = discover(settings.models.directories)
    registry = open_registry(settings)
    for problem in registry.problems:
        logger.warning("%s", problem)
    try:
        aliased = found_aliases(registry) if settings.models.aliases is None else _chosen(registry, settings)
    finally:
        registry.close()
    for name in sorted(folders.keys() & aliased.keys()):
        if not folders[name].path.samefile(aliased[name].path):
            logger.warning("%s is %s, by its alias, and not %s", name, aliased[name].path, folders[name].path)
    shared = settings.models.lora_directories
    return {name: replace(source, shared_loras=shared) for name, source in (folders | aliased).items()}


def find_vision(settings: Settings) -> dict[str, VisionSource]:
    """The vision models that are served, by name, from the same places. Raises FamilyError."""
    folders = discover_vision(settings.models.directories)
    registry = open_registry(settings)
    try:
        return folders | found_vision(registry, settings.models.aliases)
    finally:
        registry.close()


def _chosen(registry: ModelRegistry, settings: Settings) -> dict[str, ModelSource]:
    """Of the aliases that the settings name those that draw."""
    names = settings.models.aliases or ()
    seeing = vision_aliases(registry, names)
    return {name: open_alias(registry, name) for name in names if name not in seeing}
