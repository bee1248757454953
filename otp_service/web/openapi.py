"""The OpenAPI 3.1 document: made from the models, the table of calls and the table of problems; nothing said twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from otp_service.errors import CodeMismatch, Problem, Unauthorized
from otp_service.web import answers, problems
from otp_service.web.exchange import JSON, PROBLEM_JSON
from otp_service.web.problem_docs import example_verification, problem_docs
from otp_service.web.problems import STATUS
from otp_service.web.routes import CALLS, Call

Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/"
_RETRIED = frozenset({429, 503})
_INTRODUCTION = (
    "Proves that a person controls a phone number: start a verification, let the person type the code from the "
    "message, check it, and hand on the token."
)
_EXAMPLE_TOKEN = "eyJqdGkiOiI3cTJtOHYwayJ9.aS0Zxg.9pQm3nK0w2Jb4yVd6sT1uX8c"  # noqa: S105 - an example
_BODY_EXAMPLES: dict[str, Json] = {
    "start": {"to": "+8613800138000", "purpose": "login", "session": "b7c1e0", "client_ip": "203.0.113.7"},
    "resend": {"exclude_last": True},
    "check": {"code": "345678", "session": "b7c1e0"},
    "checkByRecipient": {"to": "+8613800138000", "purpose": "login", "session": "b7c1e0", "code": "345678"},
    "lookup": {"to": "+8613800138000"},
    "enable": {"to": "+8613800138000"},
    "verifyToken": {"token": _EXAMPLE_TOKEN, "purpose": "login", "to": "+8613800138000", "session": "b7c1e0"},
}


def openapi(version: str) -> Json:
    """The whole document. `version` is the service's own."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "otp-service", "version": version, "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "headers": _HEADERS,
            "parameters": _PARAMETERS,
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, `otp_…`, made with `otp-service keys new CLIENT`.",
                }
            },
        },
    }


def _paths() -> Json:
    paths: Json = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return paths


def _operation(call: Call) -> Json:
    operation: Json = {"operationId": call.operation, "summary": call.summary, "description": call.description}
    parameters = ["RequestId"]
    if "{id}" in call.path:
        parameters.append("Id")
    if call.body:
        parameters += ["IdempotencyKey"] * call.keyed + ["Prefer"] * call.waits
        content = {JSON: {"schema": _ref(call.body), "example": _BODY_EXAMPLES[call.operation]}}
        operation["requestBody"] = {"required": call.body_required, "content": content}
    operation["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in parameters]
    operation["responses"] = _successes(call) | _refusals(
        call.all_problems, replayable=call.body is not None and call.keyed
    )
    return operation


def _successes(call: Call) -> Json:
    headers = ["X-Request-Id"] + (["Idempotent-Replayed"] if call.body and call.keyed else [])
    return {
        str(status): {
            "description": meaning,
            "headers": _header_refs(
                headers + ["Preference-Applied"] * call.waits + (["Location"] if status == 201 else [])
            ),
            "content": {
                JSON: {
                    "schema": _ref(call.answer),
                    "example": _example_answer(call),
                }
            },
        }
        for status, meaning in call.answers.items()
    }


def _example_answer(call: Call) -> Json:
    shown = example_verification()
    if call.answer is answers.TokenJson:
        return {
            "valid": True,
            "verification_id": shown.id,
            "purpose": shown.purpose,
            "approved_at": answers.moment(shown.now),
            "expires_at": answers.moment(shown.now + 600_000),
        }
    document: Any = answers.verification_json(shown)
    if call.answer is answers.EnabledJson:
        return {"to": document["to"], "enabled": True}
    if call.answer is answers.LookupJson:
        return {"verifications": [document]}
    if call.answer is answers.CheckedJson:
        return {**document, "status": "approved", "expires_in": 0, "sends_left": 0, "token": _EXAMPLE_TOKEN}
    if call.operation == "cancel":
        return {**document, "status": "canceled", "delivery": "canceled", "expires_in": 0, "sends_left": 0}
    return {**document}


def _refusals(possible: Iterable[type[Problem]], *, replayable: bool) -> Json:
    by_status: dict[int, list[type[Problem]]] = {}
    for problem in possible:
        by_status.setdefault(STATUS[problem], []).append(problem)
    return {str(status): _refusal(status, by_status[status], replayable) for status in sorted(by_status)}


def _refusal(status: int, possible: list[type[Problem]], replayable: bool) -> Json:
    headers = ["X-Request-Id"]
    if status in _RETRIED:
        headers.append("Retry-After")
    if Unauthorized in possible:
        headers.append("WWW-Authenticate")
    if CodeMismatch in possible and replayable:
        headers.append("Idempotent-Replayed")
    narrowed = {"properties": {"problem": {"enum": [p.name for p in possible]}, "status": {"const": status}}}
    docs = problem_docs()
    return {
        "description": "; ".join(p.title for p in possible),
        "headers": _header_refs(headers),
        "content": {
            PROBLEM_JSON: {
                "schema": {"allOf": [_ref(problems.ProblemJson), narrowed]},
                "examples": {p.name: {"summary": p.title, "value": docs[p.name].example} for p in possible},
            }
        },
    }


def _schemas() -> Json:
    bodies = {call.body for call in CALLS if call.body}
    shown = {call.answer for call in CALLS} | {problems.ProblemJson}
    inputs: list[tuple[type, JsonSchemaMode, TypeAdapter[Any]]] = [
        *((model, "validation", TypeAdapter(model)) for model in sorted(bodies, key=lambda m: m.__name__)),
        *((model, "serialization", TypeAdapter(model)) for model in sorted(shown, key=lambda m: m.__name__)),
    ]
    _, schema = TypeAdapter.json_schemas(inputs, ref_template=_SCHEMAS + "{model}")
    definitions: Json = schema["$defs"]
    return {_public(name): _renamed(_without_titles(one)) for name, one in sorted(definitions.items())}


def _public(name: str) -> str:
    """Callers know a verification, not our word for its JSON."""
    return name.removesuffix("Json")


def _ref(model: type) -> Json:
    return {"$ref": _SCHEMAS + _public(model.__name__)}


def _renamed(node: Any) -> Any:
    if isinstance(node, list):
        return [_renamed(item) for item in node]
    if isinstance(node, dict):
        return {key: _public(value) if key == "$ref" else _renamed(value) for key, value in node.items()}
    return node


def _without_titles(definition: Json) -> Json:
    """Pydantic titles every field with its own name, which says nothing; nor does a default of null."""
    for field in definition.get("properties", {}).values():
        field.pop("title", None)
        if field.get("default", ...) is None:
            del field["default"]
    definition.pop("title", None)
    return definition


def _header_refs(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(description: str, schema: Json) -> Json:
    return {"description": description, "required": True, "schema": schema}


_HEADERS: Json = {
    "X-Request-Id": _header("Names this request in the log.", {"type": "string"}),
    "Retry-After": _header("Whole seconds, rounded up.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": _header("How to authenticate.", {"type": "string", "const": "Bearer"}),
    "Location": _header("Where the new verification can be read.", {"type": "string", "format": "uri-reference"}),
    "Preference-Applied": {
        "description": "Present when this answer gave the first try time to come to an outcome.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "Present when this is the kept answer to an earlier request with the same Idempotency-Key.",
        "schema": {"type": "string", "const": "true"},
    },
}
_PARAMETERS: Json = {
    "Id": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The verification's id.",
        "schema": {"type": "string", "examples": ["ver_1rk2BLOIFpu30at2PZwrXxitP2xYCPuZcO"]},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Same key, path and body within two hours: the first answer again, and nothing is done twice.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    },
    "Prefer": {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=N`: answer as soon as the first try has an outcome, at the latest after N seconds (RFC "
        "7240; at most 5). `Preference-Applied` says that it was heeded.",
        "schema": {"type": "string", "examples": ["wait=5"]},
    },
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "description": "Your own name for this request, taken over if it can be no code, number or API key: a UUID, a "
        "ULID, 16 to 64 hex digits with a letter among them, or `[A-Za-z0-9._-]{1,64}` with fewer than 6 digits and "
        "not beginning with `otp_`. Anything else is replaced.",
        "schema": {"type": "string"},
    },
}
