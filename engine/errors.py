"""Errors of the engine package.

EngineError
+-- InvalidRequestError    a request's values do not fit the model
+-- QueueFullError         the engine holds as many images as it may; try again later
+-- EngineClosedError      the engine stops or has stopped
+-- DenoiseError           the runtime's call failed for these rows, or its numbers are not finite
+-- RuntimeUnavailableError  no such runtime, its library is missing, or the published files lack its part
"""


class EngineError(Exception):
    """Base of this package's errors."""


class InvalidRequestError(EngineError):
    """A request's values do not fit the model; the message names the value."""


class QueueFullError(EngineError):
    """The engine already holds as many images as it may."""


class EngineClosedError(EngineError):
    """The engine stops or has stopped."""


class DenoiseError(EngineError):
    """Denoising failed for this request; others go on."""


class RuntimeUnavailableError(EngineError):
    """A runtime cannot be opened; the message says what is missing or which ones are known."""
