"""The engine's errors as the gateway's own, at the edge."""

from engine.errors import AdapterError, EngineClosedError, InvalidRequestError, OutOfMemoryError, QueueFullError
from gateway.domain.errors import (
    BackendError,
    BackendFailed,
    BackendRejected,
    BackendUnavailable,
    BackendUnsupported,
    InsufficientMemory,
    QueueFull,
)

_RETRY_SECONDS = 2


def backend_error(error: Exception) -> BackendError:
    """The error of the port for one of the engine, or for whatever escaped from its libraries."""
    translated: BackendError
    match error:
        case QueueFullError():
            translated = QueueFull("the engine's queue is full; retry later")
        case EngineClosedError():
            translated = BackendUnavailable("the engine is shutting down", retry_after=_RETRY_SECONDS)
        case OutOfMemoryError():
            translated = InsufficientMemory("the request needs more memory than there is")
        case AdapterError():
            translated = BackendUnsupported(str(error))
        case InvalidRequestError():
            translated = BackendRejected(f"the engine refused the request: {error}")
        case _:
            translated = BackendFailed(f"the engine failed: {error!r}")
    translated.__cause__ = error
    return translated
