"""What `--model` and a recipe's `model` may say: the name of a model folder, an alias, a path, or NAME=PATH."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from export.errors import ExportError
from families.catalog import ModelSource, discover, load_source
from families.embedded import embedded_models
from families.registry import ModelRegistry, UnservableAlias, leads_somewhere, open_alias

_NAMED_PATH = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)=(?P<path>.+)")


@dataclass(frozen=True, slots=True)
class Aliases:
    """How to open the registry, which happens only where a name may be an alias. `triptych` puts it into the commands'
    context; where they run by themselves there are no aliases.
    """

    open: Callable[[], ModelRegistry]


class ModelNames:
    """Finds the model of a name. Folders are read once, when they are first needed."""

    def __init__(self, aliases: Aliases | None, directories: Sequence[Path] | None) -> None:
        """Without aliases there are none; without directories the embedded models' are taken."""
        self._aliases = aliases
        self._directories = directories

    @cached_property
    def folders(self) -> dict[str, ModelSource]:
        """Every model of the directories. Raises FamilyError for one that cannot be read."""
        return discover(self._directories or [embedded_models()])

    def find(self, name: str) -> ModelSource:
        """An alias that its variable or a root leads to goes before a folder, and a folder before an embedded model.

        Raises ExportError listing what is known, FamilyError naming what cannot be read.
        """
        if named := _NAMED_PATH.fullmatch(name):
            return load_source(_existing(Path(named["path"])), named["name"])
        if Path(name).is_absolute() or "/" in name or "\\" in name:
            return load_source(_existing(Path(name)).absolute())
        return self._alias(name) or self._folder(name)

    def known(self, names: Iterable[str]) -> dict[str, ModelSource]:
        """The folders' models, and those of `names` that an alias leads to. Raises FamilyError for a folder."""
        found = dict(self.folders)
        for name in names:
            with suppress(UnservableAlias):
                source = self._alias(name)
                found |= {} if source is None else {name: source}
        return found

    def _alias(self, name: str) -> ModelSource | None:
        """The model of an alias; None where the name is none, or a folder has it and nothing else does."""
        if self._aliases is None:
            return None
        registry = self._aliases.open()
        try:
            if name not in registry.aliases:
                return None
            if name in self.folders and not leads_somewhere(registry.resolve(name).report):
                return None
            return open_alias(registry, name)
        finally:
            registry.close()

    def _folder(self, name: str) -> ModelSource:
        if not self.folders:
            raise ExportError("models found: none: name their folder with --models-dir")
        if name not in self.folders:
            known = ", ".join(self.folders)
            raise ExportError(f"no model {name}; known are {known}, and those of --models-dir, aliases and paths")
        return self.folders[name]


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ExportError(f"no model {path}: there is no such file or folder")
    return path
