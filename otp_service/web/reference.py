"""The OpenAPI document as a page can show it: flat, resolved, in reading order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from otp_service.web.exchange import JSON, PROBLEM_JSON

Json = dict[str, Any]

_SHOWN_SCHEMAS = ("Verification", "Try", "Token", "Problem")
_METHODS = ("post", "get", "delete")
_JSON_PART = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null|-?[0-9.]+)\b')
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class FieldDoc:
    name: str
    type: str
    required: bool
    description: Markup
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProblemLink:
    name: str
    title: str
    status: str


@dataclass(frozen=True, slots=True)
class AnswerDoc:
    status: str
    meaning: str


@dataclass(frozen=True, slots=True)
class CallDoc:
    id: str
    method: str
    path: str
    summary: str
    description: Markup
    fields: tuple[FieldDoc, ...]
    answers: tuple[AnswerDoc, ...]
    problems: tuple[ProblemLink, ...]
    curl: Markup
    example: Markup


@dataclass(frozen=True, slots=True)
class SchemaDoc:
    name: str
    description: Markup
    fields: tuple[FieldDoc, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    version: str
    introduction: str
    calls: tuple[CallDoc, ...]
    schemas: tuple[SchemaDoc, ...]

    @classmethod
    def of(cls, document: Json) -> Reference:
        schemas = document["components"]["schemas"]
        return cls(
            version=document["info"]["version"],
            introduction=document["info"]["description"],
            calls=tuple(_calls(document)),
            schemas=tuple(
                SchemaDoc(name, marked(schemas[name].get("description", "")), _fields(schemas[name], schemas))
                for name in _SHOWN_SCHEMAS
            ),
        )


def marked(text: str) -> Markup:
    """Escape, and show what stands in backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


def shown_json(document: Any) -> Markup:
    """Pretty JSON with its names, strings and numbers marked for the style sheet."""
    return _coloured(json.dumps(document, ensure_ascii=False, indent=2))


def _coloured(text: str) -> Markup:
    parts, end = [], 0
    for match in _JSON_PART.finditer(text):
        kind = "n" if match[2] else "s" if match[1] else "v"
        part = Markup('<span class="{}">{}</span>').format(kind, match[1] or match[3])
        parts += [escape(text[end : match.start()]), part, escape(match[2] or "")]
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])


def _calls(document: Json) -> Iterator[CallDoc]:
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                yield _call(method.upper(), path, operations[method], document["components"]["schemas"])


def _call(method: str, path: str, operation: Json, schemas: Json) -> CallDoc:
    content: Json = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
    body = _resolved(content.get("schema", {}), schemas)
    successes = {s: a for s, a in operation["responses"].items() if s.startswith("2")}
    refusals = {s: a for s, a in operation["responses"].items() if not s.startswith("2")}
    return CallDoc(
        id=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        description=marked(operation["description"]),
        fields=_fields(body, schemas),
        answers=tuple(AnswerDoc(status, answer["description"]) for status, answer in sorted(successes.items())),
        problems=tuple(
            ProblemLink(name, example["summary"], status)
            for status, answer in refusals.items()
            for name, example in answer["content"][PROBLEM_JSON]["examples"].items()
        ),
        curl=_curl(method, path, content.get("example")),
        example=shown_json(max(successes.items())[1]["content"][JSON]["example"]),
    )


def _curl(method: str, path: str, body: Json | None) -> Markup:
    path = path.replace("{id}", "$ID")
    lines = [f'curl -X {method} "$OTP_URL{path}"' if method != "GET" else f'curl "$OTP_URL{path}"']
    lines.append('  -H "Authorization: Bearer $OTP_KEY"')
    if body is not None:
        lines.append("  -H 'Content-Type: application/json'")
    shown = escape(" \\\n".join(lines))
    if body is None:
        return shown
    return shown + Markup(" \\\n  -d '{}'").format(shown_json(body))


def _fields(schema: Json, schemas: Json) -> tuple[FieldDoc, ...]:
    required = schema.get("required", ())
    return tuple(
        FieldDoc(
            name=name,
            type=_type(field, schemas),
            required=name in required,
            description=marked(_described(field)),
            values=tuple(_values(field, schemas)),
        )
        for name, field in schema.get("properties", {}).items()
    )


def _choices(field: Json) -> list[Json]:
    """The ways a field may be given; that null is a field not given is said once, above."""
    return [choice for choice in field.get("anyOf", [field]) if choice.get("type") != "null"]


def _described(field: Json) -> str:
    described: str = field.get("description") or _choices(field)[0].get("description", "")
    return described


def _values(field: Json, schemas: Json) -> Iterator[str]:
    for choice in _choices(field):
        yield from _resolved(choice, schemas).get("enum", ())


def _type(field: Json, schemas: Json) -> str:
    choice = _choices(field)[0]
    resolved = _resolved(choice, schemas)
    kind: str = resolved.get("type", "string")
    if kind == "array":
        return f"array of {_type(resolved['items'], schemas)}"
    if kind == "object":
        return choice["$ref"].rsplit("/", 1)[1] if "$ref" in choice else "object of strings"
    return "time" if resolved.get("format") == "date-time" else kind


def _resolved(schema: Json, schemas: Json) -> Json:
    resolved: Json = schemas[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    return resolved
