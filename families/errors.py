"""Errors of the families package.

FamilyError
+-- ManifestError   a model folder cannot be described: a file is missing, broken, or of an unknown family
"""


class FamilyError(Exception):
    """Base of this package's errors."""


class ManifestError(FamilyError):
    """A model folder cannot be described; the message says which file and why."""
