"""Errors of a download; every message is fit for a user's eyes and carries no token and no signed URL.

DownloadError
+-- Refused         the request makes no sense as it stands: a pickle, an unsafe name, a token in the wrong place
+-- RemoteError     the hub says no: what it said and what helps
+-- TransferError   the connection or the disk gave out; what came so far is kept
+-- CorruptFile     what came is not what the hub announced, or not what its name says
"""


class DownloadError(Exception):
    """Base of this package's errors."""


class Refused(DownloadError):  # noqa: N818 - the name says what happened
    """We will not do this; the message says why."""


class RemoteError(DownloadError):
    """The hub refused; the message says what helps.

    `temporary` where trying again may help; `retry_after` is in seconds, None where the hub does not say.
    """

    def __init__(self, message: str, *, temporary: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.temporary = temporary
        self.retry_after = retry_after


class TransferError(DownloadError):
    """It may work when it is tried again; the message says what was kept."""


class CorruptFile(DownloadError):  # noqa: N818 - the name says what happened
    """Checksum or content are wrong; the file was not put in place."""
