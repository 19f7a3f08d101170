"""What every export of a model's folder ends with."""

import json
import shutil
from pathlib import Path


def forget_origin(config: Path) -> None:
    """Drop the folder a model was loaded from: it means nothing to others."""
    content = json.loads(config.read_text(encoding="utf-8"))
    content.pop("_name_or_path", None)
    config.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def put_in_place(partial: Path, folder: Path, size_limit: int) -> int:
    """Let `partial` take the place of `folder`; returns its size in bytes.

    Raises ValueError where it would be too big for the repository.
    """
    files = [path for path in partial.rglob("*") if path.is_file()]
    for path in files:
        path.chmod(0o644)  # safetensors creates files that only their owner reads
    size = sum(path.stat().st_size for path in files)
    if size > size_limit:
        raise ValueError(f"the export takes {size} bytes, the limit is {size_limit}")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return size
