# ruff: noqa: N818 - these names say what happened; `Error` on each would say it twice.
"""Every error that the gateway answers with. Each class carries its HTTP status, OpenAI error type and code.

GatewayError
+-- Unexpected                   500  a defect
+-- RequestError                 the caller's mistake
|   +-- InvalidRequest           400  a field's value cannot be served; `param` names it
|   +-- ModelNotFound            404
|   +-- RouteNotFound            404
|   +-- MethodNotAllowed         405
|   +-- PictureNotFound          404
|   +-- SignatureRefused         403  a picture's URL was not signed by us
|   +-- UrlExpired               410
|   +-- JobNotFound              404
|   +-- JobExpired               410  the job's result lived as long as `jobs.result_ttl_seconds`
|   +-- ListingRefused           403  `jobs.listing` is off
|   +-- BodyTooLarge             413
|   +-- UnsupportedMediaType     415
|   +-- ClientGone               499  nobody reads this answer; it shows in logs and metrics
+-- Overloaded                   429  more work than may wait; retry later
+-- Draining                     503  shutting down; retry elsewhere or later
+-- RequestTimedOut              504  the gateway's own limit
+-- JobInterrupted               500  the gateways that did the job ended, too often
+-- JobUnreadable                500  the job was written down by a version that does not fit
+-- StoreUnavailable             503  records or files cannot be read or written now
+-- BackendError                 raised by adapters of the InferenceBackend port
    +-- QueueFull                429
    +-- BackendUnavailable       503
    |   +-- ReleaseGone          503  the model was replaced during the request; the pipelines begin again
    |   +-- MemoryBusy           503  the model waits for memory that other requests use
    +-- InsufficientMemory       507  the model, or the request, needs more memory than there is
    +-- BackendUnsupported       400  the model as it is published cannot do what was asked for
    +-- BackendTimeout           504
    +-- BackendRejected          500  the backend refused what the gateway sent: a defect, never the caller's mistake
    +-- BackendFailed            500  the backend broke while working
"""


class GatewayError(Exception):
    """Base of the tree. `retry_after` is in seconds, None where a retry would not help."""

    status: int = 500
    error_type: str = "server_error"
    code: str = "internal_error"
    public: bool = True
    """Whether the message may be shown to the caller."""

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.param = param
        self.retry_after = retry_after


class Unexpected(GatewayError):
    """An exception that nobody foresaw; its cause is in the log."""

    public = False


class RequestError(GatewayError):
    """The caller's mistake."""

    status = 400
    error_type = "invalid_request_error"
    code = "invalid_request"


class InvalidRequest(RequestError):
    """A field cannot be served as given; the message says what is allowed."""

    code = "invalid_value"


class ModelNotFound(RequestError):
    """No model of this name; the message lists the known ones."""

    status = 404
    code = "model_not_found"


class RouteNotFound(RequestError):
    """No such route."""

    status = 404
    code = "route_not_found"


class MethodNotAllowed(RequestError):
    """The route exists and has other methods."""

    status = 405
    code = "method_not_allowed"


class PictureNotFound(RequestError):
    """No such picture, or no longer."""

    status = 404
    code = "image_not_found"


class SignatureRefused(RequestError):
    """A picture's URL carries no signature of ours."""

    status = 403
    error_type = "permission_error"
    code = "invalid_signature"


class UrlExpired(RequestError):
    """A picture's URL was valid once."""

    status = 410
    code = "url_expired"


class JobNotFound(RequestError):
    """No such job, or long gone."""

    status = 404
    code = "job_not_found"


class JobExpired(RequestError):
    """The job ended and its result has been deleted since."""

    status = 410
    code = "job_expired"


class ListingRefused(RequestError):
    """Ids of jobs are what gives access to them; this server does not list them."""

    status = 403
    error_type = "permission_error"
    code = "listing_refused"


class BodyTooLarge(RequestError):
    """The request's body is over `server.max_body_bytes`, or `uploads.max_body_bytes` where files come in."""

    status = 413
    code = "request_too_large"


class UnsupportedMediaType(RequestError):
    """The request's body is not of the content type that the route takes."""

    status = 415
    code = "unsupported_content_type"


class ClientGone(RequestError):
    """The client closed its connection before the answer."""

    status = 499
    code = "client_closed_request"


class Overloaded(GatewayError):
    """As much work is waiting as may wait."""

    status = 429
    error_type = "rate_limit_error"
    code = "overloaded"


class Draining(GatewayError):
    """The gateway is shutting down."""

    status = 503
    code = "shutting_down"


class RequestTimedOut(GatewayError):
    """The request outlived `generation.request_timeout`."""

    status = 504
    error_type = "timeout_error"
    code = "request_timeout"


class JobInterrupted(GatewayError):
    """Every attempt at the job ended with the gateway that made it."""

    code = "job_interrupted"


class JobUnreadable(GatewayError):
    """The job's order is of a version that this gateway does not read."""

    code = "job_unreadable"


class StoreUnavailable(GatewayError):
    """The database or the store of files is away, or full."""

    status = 503
    code = "store_unavailable"


class BackendError(GatewayError):
    """Base of what the inference adapters raise."""

    code = "backend_error"


class QueueFull(BackendError):
    """The backend's own queue is full."""

    status = 429
    error_type = "rate_limit_error"
    code = "overloaded"


class BackendUnavailable(BackendError):
    """The backend cannot be reached, is starting, or went away during the request."""

    status = 503
    code = "backend_unavailable"


class ReleaseGone(BackendUnavailable):
    """The release that a request began with is not served any more."""


class MemoryBusy(BackendUnavailable):
    """The model could not come into memory in time: what is in its way is in use."""

    code = "memory_busy"


class InsufficientMemory(BackendError):
    """More memory is needed than there is, whoever waits."""

    status = 507
    code = "insufficient_memory"


class BackendUnsupported(BackendError):
    """The model as it is published cannot do what was asked for, such as a LoRA on a compiled graph."""

    status = 400
    error_type = "invalid_request_error"
    code = "unsupported_by_model"


class BackendTimeout(BackendError):
    """The backend did not answer in time."""

    status = 504
    error_type = "timeout_error"
    code = "backend_timeout"


class BackendRejected(BackendError):
    """The backend refused a call as malformed."""

    code = "backend_rejected"
    public = False


class BackendFailed(BackendError):
    """The backend failed while it worked on a call."""

    code = "backend_failed"
    public = False
