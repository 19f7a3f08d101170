"""Errors of the families package.

FamilyError
+-- ManifestError    a model cannot be described: a configuration file is missing, broken, or of an unknown family
+-- CheckpointError  a weights file cannot be used: truncated, inconsistent, a pickle, or of an unknown architecture
"""


class FamilyError(Exception):
    """Base of this package's errors."""


class ManifestError(FamilyError):
    """A model cannot be described; the message says which file and why."""


class CheckpointError(FamilyError):
    """A weights file cannot be used; the message names it and says what is wrong with it."""
