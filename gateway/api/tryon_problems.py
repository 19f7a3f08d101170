"""Mistakes under the names that users of try-on services know."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.domain.errors import InvalidRequest
from gateway.domain.tryon_errors import InputValidationError


@contextmanager
def told_as_tryon() -> Iterator[None]:
    """Any field's mistake is an InputValidationError, unless it has a name of its own already."""
    try:
        yield
    except InvalidRequest as error:
        if type(error) is not InvalidRequest:
            raise
        raise InputValidationError(error.message, param=error.param) from error
