"""What can be wrong with an adapter."""

from families.errors import FamilyError


class LoraError(FamilyError):
    """An adapter cannot be used; the message names its file and the tensor that does not fit."""
