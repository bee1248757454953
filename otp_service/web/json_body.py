"""A request's body, from bytes that may be anything to one JSON object. Nothing of it is ever echoed."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from otp_service.errors import FieldError, InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from otp_service.web.exchange import JSON, Request

MAX_BYTES = 64 * 1024

_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def read(request: Request) -> bytes:
    """The body's bytes, at most `MAX_BYTES` of them. Raises UnsupportedMediaType, PayloadTooLarge, InvalidRequest.

    A body that says how long it is, and is too long, is not read at all.
    """
    if request.content_type != JSON and request.content_type.partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType("Send the body as JSON, with the header `Content-Type: application/json`.")
    if request.content_encoding and request.content_encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("Send the body as it is: a compressed one (Content-Encoding) is not read.")
    if request.body_length is None:
        body = _up_to(request, MAX_BYTES + 1)
    elif request.body_length <= MAX_BYTES:
        body = _up_to(request, request.body_length)
        if len(body) < request.body_length:
            _refuse("The body ends before its Content-Length; nothing was done with what came of it.")
    else:
        raise _too_large()
    if len(body) > MAX_BYTES:
        raise _too_large()
    return body


def read_optional(request: Request) -> bytes:
    """As `read`, but an empty body, which needs no Content-Type, is `{}`."""
    # A bare `curl -X POST` says nothing about a length: only reading tells whether there is something.
    if not request.content_type and (request.body_length == 0 or not request.body.read(1)):
        return b"{}"
    # A chunked body that says what it is and holds nothing was cut off.
    return read(request) if request.body_length is None else read(request) or b"{}"


def parse(body: bytes) -> dict[str, Any]:
    """The one JSON object that `body` holds, without its null fields. Raises InvalidRequest.

    Stricter than `json.loads`: no NaN, no second field of one name, no half of a surrogate pair.
    """
    if not body:
        _refuse("The body is empty; send a JSON object.")
    try:
        value = _DECODER.decode(body.decode())
        if b"\\u" in body and _SURROGATE_ESCAPE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        _refuse(f"The body is not valid JSON: see line {error.lineno}, column {error.colno}.")
    except UnicodeDecodeError:
        _refuse("The body is not valid UTF-8.")
    except UnicodeEncodeError:
        _refuse("The body holds half of a surrogate pair (\\ud800 to \\udfff), which is no character.")
    except RecursionError:
        _refuse("The body is nested too deeply.")
    except ValueError:  # int() refuses more than 4300 digits
        _refuse("The body holds a number that is too long.")
    if not isinstance(value, dict):
        _refuse("The body must be a JSON object.")
    return value if None not in value.values() else {name: one for name, one in value.items() if one is not None}


def _up_to(request: Request, size: int) -> bytes:
    """One `read` may give less than was asked for, so ask until nothing comes."""
    body = request.body.read(size) if size else b""
    while 0 < len(body) < size and (part := request.body.read(size - len(body))):
        body += part
    return body


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"The body must be at most {MAX_BYTES} bytes.")


def _refuse(detail: str) -> NoReturn:
    # `from None`: the decoder's own exception holds the whole body.
    raise InvalidRequest(detail, errors=[FieldError("", detail)]) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        _refuse("The body names a field twice in one object; name each once.")
    return fields


def _constant(_: str) -> NoReturn:
    _refuse("The body holds NaN or Infinity, which JSON does not have.")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
