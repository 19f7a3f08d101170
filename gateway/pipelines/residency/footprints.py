"""What components were measured to take, remembered from start to start."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from gateway.domain.residency import Unit

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Measured:
    """`bytes` with calls of up to `work` numbers a row; `files` is the size of the weights that were loaded.

    Another release with weights of the same size is the same architecture, and takes the same.
    """

    bytes: int
    work: int
    files: int


_Configurations = dict[str, dict[str, Measured]]
_FILE = TypeAdapter(_Configurations)


class FootprintFile:
    """A small JSON file of measurements by configuration and component.

    `configuration` says how the components are run (runtime, device, threads): measured otherwise, they take otherwise.
    """

    def __init__(self, path: Path, configuration: str) -> None:
        self._path = path
        self._configuration = configuration
        self._all = _read(path)
        self._own = self._all.setdefault(configuration, {})

    def get(self, unit: Unit, files: int) -> Measured | None:
        """None where it was never measured with weights of this size."""
        measured = self._own.get(unit.name)
        return measured if measured is not None and measured.files == files else None

    def remember(self, unit: Unit, measured: Measured) -> None:
        """Written at once, by one rename. Where that fails it is warned of, and known until the process ends."""
        if self._own.get(unit.name) == measured:
            return
        self._own[unit.name] = measured
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(_FILE.dump_json(self._all, indent=1) + b"\n")
            draft.replace(self._path)
        except OSError as error:
            logger.warning("%s cannot be written: %s", self._path, error)


def _read(path: Path) -> _Configurations:
    """What is not as we write it was never measured."""
    try:
        return _FILE.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        logger.warning("%s is of no use and begun anew: %s", path, error)
        return {}
