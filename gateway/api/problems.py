"""Validation failures as one sentence that names the field and says what is allowed."""

from collections.abc import Iterable
from typing import Any

from annotated_types import Ge, Gt, Le, MaxLen
from fastapi.exceptions import RequestValidationError
from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError

from gateway.domain.errors import InvalidRequest

_LONGEST_NAME = 100

_WRONG_TYPE = {
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "int_parsing": "must be an integer",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
}
_WRONG_VALUE = {
    "finite_number": "must be a finite number",
    "string_unicode": "must be valid Unicode text",
    "string_too_long": "is too long",
    "greater_than_equal": "is too small",
    "greater_than": "is too small",
    "less_than_equal": "is too large",
    "int_parsing_size": "is too large",
}


class StrictBody(BaseModel):
    """Base of request bodies: no coercion between types, no unknown fields, errors which say what is allowed, and in
    which item of a list, counted from 0.
    """

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def say_what_is_allowed(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        """Where a field does not fit: its name, what is wrong, and the limits from the schema."""
        try:
            return handler(value)
        except ValidationError as error:
            problem = error.errors()[0]
            kind = problem["type"]
            code = "invalid_type" if kind in _WRONG_TYPE else "invalid_value"
            reason = _WRONG_TYPE.get(kind) or _WRONG_VALUE.get(kind) or problem["msg"]
            if kind == "literal_error":
                reason = f"must be one of {problem['ctx']['expected']}"
            inside = ".".join(part for part in problem["loc"] if isinstance(part, str))
            if kind == "extra_forbidden":
                reason = f"has an unknown field '{inside[:_LONGEST_NAME]}'"
            elif kind == "missing":
                reason = f"lacks the field '{inside}'"
            elif inside:
                reason = f"has a field '{inside[:_LONGEST_NAME]}' that {reason}"
            limits = _limits(cls.model_fields[info.field_name or ""].metadata)
            item = next((f" (item {part})" for part in problem["loc"] if isinstance(part, int)), "")
            raise PydanticCustomError(code, "{sentence}", {"sentence": f"{reason}{limits}{item}"}) from error


def invalid_request(failure: RequestValidationError) -> InvalidRequest:
    """The first problem of a refused request, as the error that is answered."""
    problem = failure.errors()[0]
    kind = str(problem["type"])
    place, *where = (str(part) for part in problem["loc"])
    if kind == "json_invalid":
        return InvalidRequest(f"the body is not valid JSON: {problem['ctx']['error']}", code="invalid_json")
    if not where:
        reason = "is missing" if kind == "missing" else "must be a JSON object"
        return InvalidRequest(f"the {place} {reason}", code="invalid_type")
    param = ".".join(where)[:_LONGEST_NAME]
    if kind == "extra_forbidden":
        return InvalidRequest(f"unknown field '{param}'", code="unknown_parameter", param=param)
    if kind == "missing":
        return InvalidRequest(f"'{param}' is required", code="missing_required_parameter", param=param)
    return InvalidRequest(f"'{param}' {problem['msg']}", code=kind, param=param)


def _limits(metadata: Iterable[object]) -> str:
    """A field's bounds in words; empty without any."""
    low = high = above = longest = None
    for item in metadata:
        match item:
            case Ge():
                low = item.ge
            case Gt():
                above = item.gt
            case Le():
                high = item.le
            case MaxLen():
                longest = item.max_length
    if low is not None and high is not None:
        return f"; allowed: {low} to {high}"
    if above is not None and high is not None:
        return f"; allowed: above {above}, up to {high}"
    return "" if longest is None else f"; allowed: at most {longest} characters"
