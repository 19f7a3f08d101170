"""Opens a weights file by its content: the name only chooses which complaint is the clearest."""

from pathlib import Path

from families.errors import CheckpointError
from families.sources import gguf_header, safetensors_header
from families.sources.header import Header

WEIGHTS_SUFFIXES = (".safetensors", ".gguf")
PICKLE_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle")

_REFUSED = "pickle formats can run code when they are opened, so they are refused; convert it to safetensors"
_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGICS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_MAGIC_BYTES = 9


def read_header(path: Path) -> Header:
    """The header of a safetensors or GGUF file. Raises CheckpointError for anything else, pickles above all."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise CheckpointError(f"{path}: {_REFUSED}")
    try:
        with path.open("rb") as file:
            magic = file.read(_MAGIC_BYTES)
        if magic.startswith(_ZIP_MAGIC):
            raise CheckpointError(f"{path} is a zip archive, as torch.save writes them: {_REFUSED}")
        if magic.startswith(_PICKLE_MAGICS) and magic[8:9] != b"{":
            raise CheckpointError(f"{path} is a pickle: {_REFUSED}")
        if magic.startswith(gguf_header.MAGIC) or path.suffix.lower() == ".gguf":
            return gguf_header.read_gguf_header(path)
        return safetensors_header.read_safetensors_header(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
