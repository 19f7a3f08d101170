"""An artefact's own record: which files it is made of, with sizes and hashes, and how it came about."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from export.artefacts.key import KEY_FILE, ArtefactKey, parse_key
from export.errors import CorruptArtefactError
from export.file_hash import file_sha256
from families.manifest import Component

RECORD_FILE = "artefact.json"
REPORT_FILE = "verification.json"
PAGE_FILE = "verification.html"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileRecord(_Record):
    """One file, its path inside the artefact's folder."""

    path: str
    size: int
    sha256: str


class ArtefactRecord(_Record):
    """`created` is seconds since the epoch, `seconds` how long the build took; `facts` are of the compiled file."""

    recipe: str
    created: float
    seconds: float
    facts: dict[str, str]
    files: tuple[FileRecord, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Artefact:
    """A compiled and verified component. `key` changes whenever its files could."""

    component: Component
    key: str
    folder: Path

    def report_text(self) -> str:
        """The stored verification report as JSON."""
        return (self.folder / REPORT_FILE).read_text(encoding="utf-8")

    def record(self) -> ArtefactRecord:
        """What was written when it was built. Raises CorruptArtefactError."""
        return read_record(self.folder)

    def identity(self) -> ArtefactKey:
        """Its whole key. Raises CorruptArtefactError."""
        return read_key(self.folder)


def describe_files(folder: Path) -> tuple[FileRecord, ...]:
    """Every file under `folder`, hashed."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(
        FileRecord(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=file_sha256(path))
        for path in paths
    )


def write_record(folder: Path, record: ArtefactRecord) -> None:
    """The last file of an artefact: what has none is no artefact."""
    (folder / RECORD_FILE).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_record(folder: Path) -> ArtefactRecord:
    """Raises CorruptArtefactError where the record is missing or broken."""
    path = folder / RECORD_FILE
    try:
        return ArtefactRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CorruptArtefactError(f"{path} cannot be read: {error.strerror}") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise CorruptArtefactError(f"{path} is no artefact's record") from error


def read_key(folder: Path) -> ArtefactKey:
    """Raises CorruptArtefactError where the key is missing or broken."""
    path = folder / KEY_FILE
    try:
        return parse_key(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CorruptArtefactError(f"{path} cannot be read: {error.strerror}") from error
    except (CorruptArtefactError, UnicodeDecodeError) as error:
        raise CorruptArtefactError(f"{path}: {error}") from error


def check_sizes(folder: Path) -> None:
    """Milliseconds: every file is there and as long as it was. Raises CorruptArtefactError."""
    for file in read_record(folder).files:
        path = folder / file.path
        size = path.stat().st_size if path.is_file() else None
        if size != file.size:
            found = "is missing" if size is None else f"has {size} bytes"
            raise CorruptArtefactError(f"{path} {found}, {file.size} were written")


def check_hashes(folder: Path) -> None:
    """Read every file and compare its SHA-256. Raises CorruptArtefactError."""
    check_sizes(folder)
    for file in read_record(folder).files:
        _check_hash(folder / file.path, file)


def check_file(path: Path) -> None:
    """Compare one file with its artefact's record; a file of no artefact is left alone. Raises CorruptArtefactError."""
    if (path.parent / RECORD_FILE).is_file():
        for file in read_record(path.parent).files:
            if file.path == path.name:
                _check_hash(path, file)


def _check_hash(path: Path, file: FileRecord) -> None:
    if file_sha256(path) != file.sha256:
        raise CorruptArtefactError(f"{path} was altered: its SHA-256 is not the one that was written")
