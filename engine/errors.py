"""Errors of the engine package.

EngineError
+-- InvalidRequestError    a request's values do not fit the model
|   +-- AdapterError       a LoRA is unknown, does not fit the model, or the runtime takes none
+-- QueueFullError         the engine holds as many images as it may; try again later
+-- EngineClosedError      the engine stops or has stopped
+-- DenoiseError           the runtime's call failed for these rows, or its numbers are not finite
+-- OutOfMemoryError       the call needs more memory than there is; what it held is free again
+-- RuntimeUnavailableError  no such runtime, its library is missing, or the published files lack its part
"""


class EngineError(Exception):
    """Base of this package's errors."""


class InvalidRequestError(EngineError):
    """A request's values do not fit the model; the message names the value."""


class AdapterError(InvalidRequestError):
    """A request's LoRA cannot be used here; the message is for whoever asked for it."""


class QueueFullError(EngineError):
    """The engine already holds as many images as it may."""


class EngineClosedError(EngineError):
    """The engine stops or has stopped."""


class DenoiseError(EngineError):
    """Denoising failed for this request; others go on."""


class OutOfMemoryError(EngineError):
    """A call needs more memory than there is; what it held is free again."""


class RuntimeUnavailableError(EngineError):
    """A runtime cannot be opened; the message says what is missing or which ones are known."""
