"""What Kubernetes itself says about its objects: which fields there are, which must be given, of which type each is.

`lightkube-models` is made of its published OpenAPI document, one dataclass an object, and wants the client library that
it belongs to for its base class alone. That library is not here: its module is stood in for.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import typing
from collections.abc import Iterator
from datetime import datetime
from types import ModuleType, NoneType
from typing import Any

_SCALARS = {str: str, int: int, bool: bool, float: (int, float), datetime: str}


def _stand_in() -> None:
    core, schema = ModuleType("lightkube.core"), ModuleType("lightkube.core.schema")
    words = {"DictMixin": type("DictMixin", (), {}), "dataclass": dataclasses.dataclass, "field": dataclasses.field}
    vars(schema).update(words)
    sys.modules.update({"lightkube.core": core, "lightkube.core.schema": schema})


_stand_in()


def faults(document: dict[str, Any]) -> list[str]:
    """What an API server would refuse of it, a line each."""
    group, _, version = str(document["apiVersion"]).rpartition("/")
    module = importlib.import_module(f"lightkube.models.{(group or 'core').partition('.')[0]}_{version}")
    return list(_faults(getattr(module, document["kind"]), document, document["kind"]))


def _faults(wanted: Any, value: Any, path: str) -> Iterator[str]:
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Union:
        kinds = [kind for kind in inner if kind is not NoneType]
        found = [list(_faults(kind, value, path)) for kind in kinds]
        if all(found):
            yield from found[0]
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path}: no list"
            return
        for n, one in enumerate(value):
            yield from _faults(inner[0], one, f"{path}[{n}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{path}: no table"
            return
        for key, one in value.items():
            yield from _faults(inner[1], one, f"{path}.{key}")
    elif dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        yield from _fields(wanted, value, path)
    elif wanted in _SCALARS and (not isinstance(value, _SCALARS[wanted]) or wanted is not bool is type(value)):
        yield f"{path}: {value!r} is no {wanted.__name__}"


def _fields(model: type[Any], value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: no table"
        return
    types = typing.get_type_hints(model)
    fields = {field.metadata.get("json", field.name): field for field in dataclasses.fields(model)}
    yield from (f"{path}.{key}: there is no such field" for key in value.keys() - fields.keys())
    for key, field in fields.items():
        if key in value:
            yield from _faults(types[field.name], value[key], f"{path}.{key}")
        elif field.default is dataclasses.MISSING:
            yield f"{path}.{key}: missing"
