"""`triptych download`, given its options: what is taken, from where, into which folder."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape

from families.registry import ModelEntry, ModelRegistry
from triptych.download.errors import Refused
from triptych.download.files import Snapshot
from triptych.download.hub import Hub
from triptych.download.job import download
from triptych.download.patience import Patience
from triptych.download.progress import DownloadProgress
from triptych.download.selection import Selection, check_patterns, select
from triptych.download.token import check_endpoint, read_token
from triptych.download.transfer import Transfer

DEFAULT_ENDPOINT = "https://huggingface.co"
_ENDPOINT_VARIABLE = "HF_ENDPOINT"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """`files` are globs, empty for the alias's own or else everything. `folder` and `endpoint` None for the default."""

    source: str
    files: tuple[str, ...]
    revision: str
    folder: Path | None
    token_variable: str
    endpoint: str | None


def run_download(options: DownloadOptions, registry: ModelRegistry, storage: Path, console: Console) -> Path:
    """Download and say what happens; the folder. New folders go below `storage`. Raises DownloadError, UnknownAlias."""
    entry = None if "/" in options.source else registry.entry(options.source)
    repository = options.source if entry is None else entry.repository
    if repository is None:
        raise Refused(f"{options.source} has no repository to download: it ships with Triptych")
    _check_repository(repository)
    folder = options.folder or storage / (entry.alias if entry else repository.partition("/")[2])
    token = read_token(options.token_variable, os.environ)
    endpoint = options.endpoint or os.environ.get(_ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT
    patience = Patience()
    with Hub(check_endpoint(endpoint, token), token, patience) as hub:
        snapshot = hub.snapshot(repository, options.revision)
        check_patterns(snapshot, options.files)
        selection = select(snapshot, options.files or (entry.files if entry else ()))
        _announce(console, snapshot, selection, folder, entry)
        with DownloadProgress(console) as progress:
            download(Transfer(hub, snapshot, folder, patience), selection.chosen, progress)
    return folder


def _check_repository(repository: str) -> None:
    if not _REPOSITORY.fullmatch(repository):
        raise Refused(f"{repository[:100]!r} is no repository; write <owner>/<name>, or an alias")


def _announce(
    console: Console, snapshot: Snapshot, selection: Selection, folder: Path, entry: ModelEntry | None
) -> None:
    count, size = len(selection.chosen), decimal(selection.size)
    console.print(
        f"{snapshot.repository} at commit {snapshot.commit[:12]}: {count} files, {size}, into {escape(str(folder))}",
        soft_wrap=True,
    )
    for path, reason in selection.left_out:
        console.print(f"  left out {escape(path)}: {reason}", soft_wrap=True)
    if entry is not None:
        use = "" if entry.commercial_use else "; [yellow]not for commercial use[/]"
        console.print(f"  licence: {entry.licence}{use}")
