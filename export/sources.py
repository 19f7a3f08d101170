"""What a component's source consists of: its files, where they go when they are published, and what they hash to."""

import hashlib
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path

from export.file_hash import file_sha256
from families.catalog import ModelSource
from families.manifest import Component
from families.sources.identify import locate_part
from families.sources.read import read_header

HashFile = Callable[[Path], str]
"""The sha256 of one file's content."""


def weights_files(source: ModelSource, component: Component) -> tuple[Path, ...]:
    """Configuration and weights of a component. Raises CheckpointError or ManifestError naming what is missing."""
    return tuple(path for part in source.weights(component) for path, _ in part.everything)


def published_weights(source: ModelSource, component: Component) -> Iterator[tuple[Path, Path]]:
    """(file, its place below the published `weights` folder): laid out for `engine.modules.load_module`."""
    for part in source.weights(component):
        for path, name in part.everything:
            yield path, Path(part.name) / name


def count_values(source: ModelSource, component: Component) -> int:
    """How many numbers the component's tensors hold, told from the files' headers."""
    files = ((path, part.name) for part in source.weights(component) for path in part.files)
    located = (locate_part(read_header(path), name) for path, name in files)
    return sum(prod(entry.shape) for part in located for entry in part.entries)


def source_hash(source: ModelSource, component: Component, hash_file: HashFile | None = None) -> str:
    """sha256 over names and contents of the component's files, and over what is merged into them; `hash_file` may
    remember what it has read.
    """
    hashed = hash_file or file_sha256
    lines = [f"{place.as_posix()}\0{hashed(path)}\n" for path, place in published_weights(source, component)]
    for lora in source.merged:
        if lora.changes(component):
            lines.append(f"merged {lora.scale!r}\0{hashed(lora.path)}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()
