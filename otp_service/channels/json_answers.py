"""A gateway's JSON answer as plain values: numbers stay the text that they were, and doubt is an error."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from otp_service.channels.http import MAX_ANSWER

Document = dict[str, Any]
"""An object: values are text, bool, None, lists and further documents."""


class UnreadableAnswer(Exception):
    """Nobody can say what this answer means. The text says why, and quotes nothing."""


def read_document(body: bytes) -> Document:
    """Raises `UnreadableAnswer`: empty, too long, no whole JSON, no object, or two different values of one name."""
    document = read_json(body)
    if not isinstance(document, dict):
        raise UnreadableAnswer("the answer is no JSON object")
    return document


def read_json(body: bytes) -> Any:
    """As `read_document`, for answers that may be a list."""
    if len(body) > MAX_ANSWER:
        raise UnreadableAnswer(f"the answer is longer than {MAX_ANSWER // 1024} KiB")
    try:
        return json.loads(body.decode("utf-8-sig"), object_pairs_hook=_object, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise UnreadableAnswer("the answer is not whole JSON" if body.strip() else "the answer is empty") from None


def _object(pairs: Iterable[tuple[str, Any]]) -> Document:
    values: Document = {}
    for name, value in pairs:
        if values.setdefault(name, value) != value:
            raise UnreadableAnswer("the answer gives two different values of one name")
    return values


def text_of(document: Any, name: str) -> str:
    """The text, or number, of that name, trimmed; "" when it is something else or not there."""
    value = document.get(name) if isinstance(document, dict) else None
    # JSON can escape half a character, which nothing could store.
    return value.encode(errors="replace").decode().strip() if isinstance(value, str) else ""


def rows_of(document: Any, name: str) -> list[Document]:
    """The objects of the list of that name; [] when it is not there. Raises `UnreadableAnswer` for anything else."""
    value = document.get(name) if isinstance(document, dict) else None
    rows = [] if value is None else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnreadableAnswer(f"{name} is no list of objects")
    return rows
