"""Triton's and gRPC's errors as the gateway's own, at the edge."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from tritonclient.utils import InferenceServerException

from families.denoise_wire import LORA_NAMES, FailureCode
from gateway.domain.errors import (
    BackendError,
    BackendFailed,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    BackendUnsupported,
    InsufficientMemory,
    QueueFull,
    ReleaseGone,
)

_RETRY_SECONDS = 2
"""A supervised Triton is back within a few seconds."""
_QUEUE_FULL = "Exceeds maximum queue size"
_QUEUE_TIMEOUT = "Request timeout expired"
_OUT_OF_MEMORY = "out of memory: "
"""How the engine's components begin to say so."""
_UNKNOWN_MODEL = "unknown model"
_UNKNOWN_VERSION = re.compile(r"unknown model: .* version \d+ is not")
"""Of a call that asked for one version; the model itself may well be served in another."""


@contextmanager
def translated() -> Iterator[None]:
    """Raise whatever gRPC or Triton raises inside as one of the BackendError family."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise backend_error(error.code().name, error.details() or "") from error
    except InferenceServerException as error:
        status = (error.status() or "UNKNOWN").removeprefix("StatusCode.")
        raise backend_error(status, error.message() or "") from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # gRPC raises this too when the *server* cancelled the call, which it does while it shuts down.
        raise backend_error("CANCELLED", "the server cancelled the call") from None


def backend_error(status: str, message: str) -> BackendError:
    """The error for a gRPC status by its name and Triton's message."""
    match status:
        case "UNAVAILABLE" | "RESOURCE_EXHAUSTED" if _QUEUE_FULL in message:
            return _queue_full()
        case "UNAVAILABLE" if _QUEUE_TIMEOUT in message:
            return BackendTimeout("the request waited too long in the inference server's queue")
        case "DEADLINE_EXCEEDED":
            return BackendTimeout("the inference server did not answer in time")
        case "UNIMPLEMENTED" | "INVALID_ARGUMENT":
            return _refused(status, message)
    # NOT_FOUND: the server is up and has not loaded the model yet, or is unloading it. On a stream it says the same in
    # a message without a status.
    if status in {"UNAVAILABLE", "CANCELLED", "NOT_FOUND"} or (status == "UNKNOWN" and _UNKNOWN_MODEL in message):
        return _release_gone(message) if _UNKNOWN_VERSION.search(message) else unavailable(message)
    return _insufficient_memory(message) if _OUT_OF_MEMORY in message else BackendFailed(f"Triton: {status}: {message}")


def job_error(code: FailureCode, message: str) -> BackendError:
    """The error that the step engine reported for one job."""
    match code:
        case FailureCode.QUEUE_FULL:
            return _queue_full()
        case FailureCode.CLOSED:
            return unavailable(message)
        case FailureCode.INVALID:
            return BackendRejected(f"the step engine refused the job: {message}")
        case FailureCode.UNSUPPORTED:
            return BackendUnsupported(message)
        case FailureCode.OUT_OF_MEMORY:
            return _insufficient_memory(message)
        case FailureCode.FAILED:
            return BackendFailed(f"the step engine: {message}")


def _refused(status: str, message: str) -> BackendError:
    """UNIMPLEMENTED is what our own components say of adapters; Triton's own backends know no such input."""
    if status == "UNIMPLEMENTED":
        return BackendUnsupported(message)
    if LORA_NAMES.name in message:
        return BackendUnsupported(
            "the text encoder is served as a compiled graph, which takes no LoRA by request: publish the model with "
            "the runtime torch, or build a recipe with `loras`"
        )
    return BackendRejected(f"Triton refused the call: {message}")


def _queue_full() -> QueueFull:
    return QueueFull("the inference server's queue is full; retry later")


def _insufficient_memory(reason: str) -> InsufficientMemory:
    error = InsufficientMemory("the request needs more memory than the inference server has")
    error.add_note(reason)
    return error


def _release_gone(reason: str) -> ReleaseGone:
    error = ReleaseGone("the model was replaced during the request; retry", retry_after=_RETRY_SECONDS)
    error.add_note(reason)
    return error


def unavailable(reason: str) -> BackendUnavailable:
    """`reason` is for the log alone: it may hold addresses."""
    error = BackendUnavailable("the inference server is not available; retry shortly", retry_after=_RETRY_SECONDS)
    error.add_note(reason)
    return error
