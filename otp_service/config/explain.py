"""From what pydantic found to lines that a person can act on: the key's full path, what is wrong, what to write."""

from __future__ import annotations

import re
import typing
from collections.abc import Container, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from otp_service.config.fields import NAME_HINT

Path = tuple[str | int, ...]

_REASONS = {
    "missing": "missing",
    "literal_error": "not one of those allowed",
    "union_tag_invalid": "not one of those allowed",
    "union_tag_not_found": "missing",
    "string_type": "not text in quotes",
    "model_type": "not a table",
    "model_attributes_type": "not a table",
    "dict_type": "not a table",
    "tuple_type": "not a list",
    "string_pattern_mismatch": "not in the form that is allowed",
    "string_too_short": "too short",
    "string_too_long": "too long",
    "too_short": "empty",
    "too_long": "too many",
    "greater_than": "too small",
    "greater_than_equal": "too small",
    "less_than_equal": "too large",
}
_REASON_OF_FAMILY = {
    "int": "not a whole number",
    "float": "not a number",
    "bool": "neither true nor false",
    "date": "not a date",
    "finite": "not a number",
}

_TAG_KINDS = ("union_tag_invalid", "union_tag_not_found")

_ABOUT_KEY = re.compile(r"([a-z_]+): ")


def explain(
    model: type[BaseModel],
    error: ValidationError,
    tables: Mapping[str, Any],
    variables: Mapping[Path, str],
    known: Container[Path] = (),
) -> list[str]:
    """One line an error, but none for the paths `known` to be at fault.

    `variables` maps the paths that came from the environment to the variables' names.
    """
    lines = []
    for found in _founded(error):
        owner, field, path = _resolve(model, found["loc"])
        if path in known:
            continue
        explanation = _explanation(owner, field, found["type"], path, found.get("ctx", {}))
        about = _ABOUT_KEY.match(explanation)
        if about and (about[1] in keys_of(owner) or found["type"] in _TAG_KINDS):
            # A check of a whole table says itself which of its keys is meant.
            path, explanation = (*path, about[1]), explanation[about.end() :]
        origin = _origin(path, tables, variables)
        lines.append(f"{show(path, tables)}{f' (from {origin})' if origin else ''}: {explanation}")
    return lines


def _origin(path: Path, tables: Mapping[str, Any], variables: Mapping[Path, str]) -> str:
    """The variable that brought it. Of a whole table only where no file has a share in it."""
    if held := next((held for held in variables if held == path[: len(held)]), None):
        return variables[held]
    within = {held: name for held, name in variables.items() if held[: len(path)] == path}
    table: Any = tables
    for step in path:
        table = _inner(table, step)
    keys = set(table) if isinstance(table, Mapping) else set()
    return next(iter(within.values()), "") if keys <= {held[len(path)] for held in within} else ""


def _inner(table: Any, step: str | int) -> Any:
    try:
        return table[step]
    except (KeyError, IndexError, TypeError):
        return None


def _founded(error: ValidationError) -> list[ErrorDetails]:
    """Every error but those that others bring about: a list whose items are all wrong isn't empty."""
    found = error.errors(include_url=False, include_input=False)
    paths = [item["loc"] for item in found]
    return [
        item
        for item in found
        if item["type"] != "too_short"
        or not any(len(path) > len(item["loc"]) and path[: len(item["loc"])] == item["loc"] for path in paths)
    ]


def show(path: Path, tables: Mapping[str, Any]) -> str:
    """`channels.primary.url`: list items by their name where they have one, else by their index."""
    shown, here = "", typing.cast(Any, tables)
    for part in path:
        if part == "[key]":  # pydantic's word for the key itself, which the path ends in already
            continue
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            here = None
        if isinstance(part, int):
            name = here.get("name") if isinstance(here, Mapping) else None
            shown += f".{name}" if isinstance(name, str) and name and name.isprintable() else f"[{part}]"
        else:
            word = part if part.isprintable() else ascii(part)
            shown += f".{word}" if shown else word
    return shown


def nearest(word: str, allowed: Iterable[str]) -> str:
    """`; did you mean "bind"?`, or nothing."""
    import difflib  # here: a configuration without a fault needs none of it

    close = difflib.get_close_matches(word.lower(), list(allowed), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def keys_of(model: type[BaseModel]) -> list[str]:
    return list(model.model_fields)


def _explanation(
    owner: type[BaseModel], field: FieldInfo | None, kind: str, path: Path, context: Mapping[str, Any]
) -> str:
    if kind in _TAG_KINDS:
        assert field is not None
        tags = ", ".join(f'"{tag}"' for tag in _tags(typing.get_args(field.annotation)[0]))
        return f"protocol: {_REASONS[kind]}; write one of {tags}"
    if kind == "extra_forbidden":
        return _unknown(owner, str(path[-1]))
    if kind == "value_error":
        reason = str(context["error"])
        if field is None or "; " in reason:
            return reason
    elif kind == "missing" and field is None:
        return f"missing; write a table [{path[-1]}], or have `otp-service init` write the file"
    elif path[-1] == "[key]":
        return f"not {NAME_HINT}"
    else:
        reason = _REASONS.get(kind) or _REASON_OF_FAMILY.get(kind.partition("_")[0], "not valid")
    return f"{reason}; write {field.description}" if field is not None and field.description else reason


def _unknown(owner: type[BaseModel], key: str) -> str:
    allowed = keys_of(owner)
    return f"unknown key; allowed here: {', '.join(allowed)}{nearest(key, allowed)}"


def _resolve(model: type[BaseModel], path: Path) -> tuple[type[BaseModel], FieldInfo | None, Path]:
    """The table that the path ends in, the key of it that the path passes, if it passes one, and the path in the file:
    pydantic also names which kind of table a list's item is."""
    owner, field, annotation = model, None, typing.cast(Any, model)
    real: Path = ()
    for part in path:
        annotation = plain(annotation)
        if part in _tags(annotation):
            owner, field = _tags(annotation)[part], None
            annotation = owner
            continue
        real = (*real, part)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            owner, field = annotation, annotation.model_fields.get(str(part))
            annotation = field.annotation if field else None
        else:
            annotation = (typing.get_args(annotation) or (None,))[-1 if isinstance(part, str) else 0]
    if isinstance(plain(annotation), type) and issubclass(plain(annotation), BaseModel):
        return plain(annotation), None, real
    return owner, field, real


def _tags(annotation: Any) -> dict[str, type[BaseModel]]:
    """The kinds of table of a union, by the `protocol` that says which."""
    inner = typing.get_args(plain(annotation))
    kinds = [arg for arg in inner if isinstance(arg, type) and issubclass(arg, BaseModel)]
    return {
        tag: kind
        for kind in kinds
        if "protocol" in kind.model_fields
        for tag in typing.get_args(typing.cast(Any, kind.model_fields["protocol"].annotation))
    }


def table_of(annotation: Any, value: Mapping[str, Any]) -> Any:
    """The kind of table that `value` says it is; the annotation itself where there is but one."""
    return _tags(annotation).get(str(value.get("protocol")), annotation)


def plain(annotation: Any) -> Any:
    """The type behind `Annotated[…]` and `… | None`."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    others = [arg for arg in typing.get_args(annotation) if arg is not type(None)]
    is_optional = len(others) == 1 and type(None) in typing.get_args(annotation)
    return plain(others[0]) if is_optional else annotation
