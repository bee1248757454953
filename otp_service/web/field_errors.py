"""From pydantic's errors to ours: a JSON pointer and what to mend, in our words, never with the value."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from otp_service.errors import FieldError

CONTROL_FREE = r"^[^\x00-\x1f\x7f-\x9f]*$"
LANGUAGE_TAG = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$"

MAX_ERRORS = 20
"""An answer names no more: a body of ten thousand unknown fields is not a question about each."""

_PATTERNS = {
    CONTROL_FREE: "must not hold control characters",
    LANGUAGE_TAG: 'must be a language tag such as "zh-CN" or "en"',
}
_DETAILS = {
    "missing": "is required",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "dict_type": "must be an object of strings",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "must have at most {max_length} entries",
}
_PLAIN_NAME = re.compile(r"[A-Za-z_]{1,32}")


def field_errors(error: ValidationError, allowed: Sequence[str]) -> list[FieldError]:
    """One `FieldError` for each of pydantic's, the first `MAX_ERRORS`. `allowed` are the fields of the model."""
    details = error.errors(include_url=False, include_input=False)
    return [_field_error(one, allowed) for one in details[:MAX_ERRORS]]


def _field_error(one: ErrorDetails, allowed: Sequence[str]) -> FieldError:
    name = str(one["loc"][0]) if one["loc"] else ""
    if one["type"] == "extra_forbidden":
        takes = f"this call takes {', '.join(allowed)}"
        if _PLAIN_NAME.fullmatch(name):
            return FieldError(f"/{name}", f"is not a field of this call; {takes}")
        # A name that the caller made up may hold a number or a code, and is not repeated then.
        return FieldError("", f"has a field that is not known; {takes}")
    nested = len(one["loc"]) > 1
    detail = _detail(one)
    return FieldError(f"/{name}", f"has an entry that {detail}" if nested else detail)


def _detail(one: ErrorDetails) -> str:
    context = one.get("ctx", {})
    if one["type"] == "string_pattern_mismatch":
        return _PATTERNS[context["pattern"]]
    if one["type"] in _DETAILS:
        return _DETAILS[one["type"]].format(**context)
    # What remains are this package's own PydanticCustomErrors.
    return one["msg"]
