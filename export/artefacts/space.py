"""Disk space: how much a build will need, and a clear word where there is not enough."""

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from export.artefacts.size import estimated_bytes
from export.errors import BuildError
from export.targets import CompileJob

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def need_space(job: CompileJob) -> None:
    """Raises BuildError before anything is written where the disk has less room than the artefact will take."""
    needed, free = estimated_bytes(job.source, job.component, job.recipe), free_bytes(job.destination)
    if free < needed:
        raise _error(job, needed, free)


def explain_full_disk(error: BaseException, job: CompileJob) -> BuildError | None:
    """The error to raise where `error` or what caused it says that the disk is full; None where it is another."""
    if not any(isinstance(cause, OSError) and cause.errno in _FULL for cause in _causes(error)):
        return None
    return _error(job, estimated_bytes(job.source, job.component, job.recipe), free_bytes(job.destination))


def _error(job: CompileJob, needed: int, free: int) -> BuildError:
    name, folder = f"{job.source.manifest.name}.{job.component}", job.destination.parent
    return BuildError(
        f"{name}: no space left in {folder}: about {needed:,} bytes are needed, {free:,} are free; "
        "make room (triptych export prune) or choose another --runtime-dir"
    )


def free_bytes(folder: Path) -> int:
    """Bytes free where `folder` is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
