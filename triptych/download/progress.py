"""How a download looks in a terminal: a bar for the file at hand; where nobody watches, a line a file."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from triptych.download.files import RemoteFile
from triptych.download.transfer import BytesListener, Outcome


class _Bar:
    """One file's bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self.task = task

    def at(self, position: int) -> None:
        """Move the bar, backwards too."""
        self._progress.update(self.task, completed=position)


class DownloadProgress:
    """Use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._bar: _Bar | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def begin(self, file: RemoteFile) -> BytesListener:
        """Show a bar for this file."""
        self._bar = _Bar(self._progress, self._progress.add_task(escape(file.path), total=file.size))
        return self._bar

    def end(self, file: RemoteFile, outcome: Outcome) -> None:
        """Take the bar away and leave a line."""
        if self._bar is not None:
            self._progress.remove_task(self._bar.task)
        self._console.print(f"{escape(file.path)} {outcome.value}, {file.checksum.value} checked", soft_wrap=True)
