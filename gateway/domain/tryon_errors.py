"""What a try-on can refuse, under the names that users of try-on services know: they are the error's `code`.

ImageLoadError        400  a picture cannot be fetched, read or used as it is; `param` names its field
InputValidationError  400  a field, or several together, ask for what cannot be done
PoseError             400  the person's picture shows nobody who could be dressed
PipelineError         500  a stage failed on input that it should have coped with
"""

from gateway.domain.errors import GatewayError, InvalidRequest


class ImageLoadError(InvalidRequest):
    """A picture cannot be fetched, read or used as it is."""

    code = "ImageLoadError"


class InputValidationError(InvalidRequest):
    """A field, or several together, ask for what cannot be done."""

    code = "InputValidationError"


class PoseError(InvalidRequest):
    """Nobody to be dressed is found in the person's picture."""

    code = "PoseError"


class PipelineError(GatewayError):
    """A stage failed on input that it should have coped with."""

    code = "PipelineError"
