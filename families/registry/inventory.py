"""The files of a model: names, sizes and modification times, nothing opened."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file. `name` is relative to the model's folder, with '/'; of a model that is one file, its own name."""

    path: Path
    name: str
    size: int
    mtime_ns: int

    @property
    def unchanged(self) -> bool:
        """Whether size and modification time are still the same."""
        stat = self.path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every file in the order of names. `unreadable` are names that lead nowhere, such as broken links."""

    files: tuple[ModelFile, ...]
    unreadable: tuple[str, ...]
    is_folder: bool

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def take_inventory(path: Path) -> Inventory:
    """What lies at `path`. Hidden files and folders are left out: version control and download tools keep theirs
    beside a model. Links to files count as files; linked folders are not entered, so a loop cannot trap us.
    """
    if not path.is_dir():
        return _describe([(path, path.name)], is_folder=False)
    names: list[tuple[Path, str]] = []
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(folder)
        names += [
            (here / name, (here / name).relative_to(path).as_posix()) for name in files if not name.startswith(".")
        ]
    return _describe(sorted(names, key=lambda entry: entry[1]), is_folder=True)


def _describe(names: list[tuple[Path, str]], *, is_folder: bool) -> Inventory:
    files, unreadable = [], []
    for path, name in names:
        try:
            stat = path.stat()
        except OSError:
            unreadable.append(name)
        else:
            files.append(ModelFile(path, name, stat.st_size, stat.st_mtime_ns))
    return Inventory(tuple(files), tuple(unreadable), is_folder)
