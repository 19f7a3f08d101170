"""Errors of the export package.

ExportError
+-- BuildError          a component could not be compiled
+-- VerificationError   a compiled component does not compute what its torch module computes
+-- PublishError        a repository could not be written
"""


class ExportError(Exception):
    """Base of this package's errors; the message is fit for a user's eyes."""


class BuildError(ExportError):
    """A component could not be compiled; the message names it and the cause."""


class VerificationError(ExportError):
    """A compiled component failed its numeric checks; the message names the checks and where the report lies."""


class PublishError(ExportError):
    """A repository could not be written; the message names the folder and the cause."""
