"""Errors of the registry.

FamilyError
+-- RegistryError        the declarations cannot be used: file, key and what is allowed
    +-- UnknownAlias     nothing is declared under this alias; the message lists what is
    +-- UnservableAlias  an alias leads to nothing, or to nothing that can be served
"""

from families.errors import FamilyError


class RegistryError(FamilyError):
    """The declarations cannot be used; the message names file and key, one problem a line."""


class UnknownAlias(RegistryError):  # noqa: N818 - the name says what happened
    """Nothing is declared under this alias."""


class UnservableAlias(RegistryError):  # noqa: N818 - the name says what happened
    """An alias leads to nothing that can be served; the message names alias, path and reason."""
