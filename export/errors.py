"""Errors of the export package.

ExportError
+-- RecipeError            a recipe cannot be read, or does not fit the model
+-- BuildError             a component could not be compiled
+-- CorruptArtefactError   an artefact's files are not what was built
+-- VerificationError      a compiled component does not compute what its torch module computes
+-- PublishError           a repository could not be written, or not as was asked
+-- SwapError              a running Triton does not take a release over
"""


class ExportError(Exception):
    """Base of this package's errors; the message is fit for a user's eyes."""


class BuildError(ExportError):
    """A component could not be compiled; the message names it and the cause."""


class RecipeError(ExportError):
    """A recipe cannot be read, or does not fit the model; the message names file, key and what is allowed."""


class CorruptArtefactError(ExportError):
    """An artefact's files are missing, cut short or altered; the message names the file."""


class VerificationError(ExportError):
    """A compiled component failed its numeric checks; the message names the checks and where the report lies."""


class PublishError(ExportError):
    """A repository could not be written; the message names the folder and the cause."""


class SwapError(ExportError):
    """A running Triton does not take a published release over; the message says why and what goes on."""
