"""Looks into weights that just came, before they are put in place: a name proves nothing."""

from pathlib import Path, PurePosixPath

from families.errors import CheckpointError
from families.sources.read import WEIGHTS_SUFFIXES, read_header
from triptych.download.errors import CorruptFile


def check_content(file: Path, name: str) -> None:
    """Hold the header of `file`, which the repository calls `name`, against its size and its name.

    Raises CorruptFile, and then `file` is gone: its bytes are what the hub has, so trying again would not help.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in WEIGHTS_SUFFIXES:
        return
    try:
        found = read_header(file).format.value
    except CheckpointError as error:
        file.unlink()
        raise CorruptFile(f"{name} was refused: {str(error).replace(str(file), 'it')}") from error
    if suffix != f".{found}":
        file.unlink()
        raise CorruptFile(f"{name} was refused: its content is {found}")
