"""An answer's bytes, whatever they declare themselves to be, as named values and rows for single numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from otp_service.channels.sms_aspx.markup import is_whole, plain, text_of

STATUS = ("returnstatus", "returnsms")
WORDS = ("message", "respdesc", "remark")
IDS = ("taskid", "smsid")
KNOWN = (
    *STATUS,
    *WORDS,
    *("respcode", "successcounts", "taskid", "smsid", "failcount", "faillist", "error", "payinfo", "overage"),
)
_ROW_NUMBER = ("phone", "mobile")
_ROW_CODE = ("respcode", "returnsms", "reason", "respdesc")

_EDGES = b"\xef\xbb\xbf\0 \t\r\n\f\v"
_GB18030_BOM = b"\x84\x31\x95\x33"
_BLANKS = "\ufeff\u3000\u00a0\0 \t\r\n\f\v"
_DECLARES = re.compile(r"<!\s*(doctype|entity)", re.IGNORECASE)
_HTML = re.compile(r"<(html|head|body|script)\b", re.IGNORECASE)
# A value that nothing ends was cut by the connection, and may have been longer.
_LEAF = re.compile(rf"<({'|'.join(KNOWN)})>([^<]*)(?=<)")
_ROW = re.compile(rf"<({'|'.join(_ROW_NUMBER)})>([^<]*)</\1>\s*<({'|'.join(_ROW_CODE)})>([^<]*)</\3>")
_COMMAS = re.compile("[,;|/，；、]")
_PAIR = re.compile(r"(?<![0-9])((?:\+|00)?(?:86)?0?1[0-9]{10})\s*[:=|, ：]\s*([0-9]{5}(?![0-9])|[\u4e00-\u9fff]{2,40})")
_LIST = re.compile(r"<faillist>\s*<(?!/)")
_MAX_INTEGER_DIGITS = 40
NESTED = "(nested)"
"""Stands for a value that has parts of its own: it is there, and it is not one word."""


class UnreadableError(Exception):
    """Nobody can say what this answer means. The text says why."""


@dataclass(frozen=True, slots=True)
class Leaves:
    """What an answer says, names in lower case, blanks trimmed."""

    values: dict[str, str] = field(default_factory=dict)
    rows: list[tuple[str, str]] = field(default_factory=list)
    """(digits of a phone number, its code or reason): per-number results, from failList or from inside taskID."""
    salvaged: bool = False
    """True when the answer was damaged: what is missing may have said otherwise."""
    cut: bool = False
    """True when its end is missing as well."""
    from_json: bool = False

    def first(self, names: Iterable[str]) -> str:
        """The first of these that is there and not empty; else an empty string."""
        return next((self.values[name] for name in names if self.values.get(name)), "")


def read_leaves(body: bytes) -> Leaves:
    """Raises `UnreadableError`: empty, neither JSON nor XML, HTML, a DTD, cut JSON, or two values of one name."""
    text = decoded(body)
    if text.startswith("{"):
        return _from_json(text)
    if text.startswith("<"):
        return _from_xml(text)
    raise UnreadableError("the answer is neither JSON nor XML" if text else "the answer is empty")


def decoded(body: bytes) -> str:
    """Stripped; UTF-8 when it is UTF-8, whatever is declared; else gb18030, which holds GBK and GB2312."""
    body = body.strip(_EDGES).removeprefix(_GB18030_BOM)
    try:
        return body.decode("utf-8").strip(_BLANKS)
    except UnicodeDecodeError:
        return body.decode("gb18030", errors="replace").strip(_BLANKS)


def bare_id(text: str) -> str:
    """A taskID without what some write around it: a comma, the braces of a GUID."""
    return text.strip(" ,;:{}[]()\"'")


def _gather(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Pairs to one value a name. Which of two different values counts can't be known, so there is none."""
    values: dict[str, str] = {}
    for name, value in pairs:
        name, value = name.lower(), value.strip()
        if name in KNOWN and values.setdefault(name, value) != value:
            raise UnreadableError(f"the answer gives two different values of {name}")
    return values


def _rows(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The results of single numbers, if this is what the pairs are; of several numbers they may stand in a row."""
    given = [(name.lower(), value.strip()) for name, value in pairs]
    parting = next((name for name, _ in given if name in _ROW_NUMBER), None)
    if parting is None:
        return []
    leads = next(name for name, _ in given if name in _ROW_NUMBER + _ROW_CODE) == parting
    groups: list[dict[str, str]] = [{}]
    for name, value in given:
        if leads and name == parting in groups[-1]:
            groups.append({})
        groups[-1].setdefault(name, value)
        if not leads and name == parting:
            groups.append({})
    return [row for group in groups for row in _row(group)]


def _row(group: dict[str, str]) -> Iterator[tuple[str, str]]:
    numbers = next((group[name] for name in _ROW_NUMBER if name in group), "")
    code = next((group[name] for name in _ROW_CODE if group.get(name)), "")
    return ((digits, code) for number in _COMMAS.split(numbers) if (digits := re.sub(r"[^0-9]", "", number)))


def _listed(values: dict[str, str]) -> list[tuple[str, str]]:
    """The rows of a failList that is one text: a document in quotes, or pairs of a number and its code."""
    text = values.get("faillist", "")
    if text.startswith(("[", "{")):
        try:
            return list(_json_rows(_parsed(text)))
        except UnreadableError:
            return []
    return [(re.sub(r"[^0-9]", "", found[1]), found[2]) for found in _PAIR.finditer(text)]


# JSON


def _from_json(text: str) -> Leaves:
    members = _members(text)
    if not any(name.lower() in (*STATUS, "respcode") for name, _ in members):
        inner = [value for name, value in members if name.lower() == "result"]
        if len(inner) == 1 and isinstance(inner[0], str):
            return _from_text_in_json(inner[0].strip(_BLANKS))
        if len(inner) == 1 and isinstance(inner[0], _Object):
            members = inner[0].members
    return _of_members(members)


def _of_members(members: Sequence[tuple[str, Any]]) -> Leaves:
    values = _gather(_scalars(members))
    rows = [row for _, value in members for row in _json_rows(value)]
    return Leaves(values, rows + _listed(values), from_json=True)


def _from_text_in_json(text: str) -> Leaves:
    """A whole answer as one string inside of JSON, as ASP.NET's script services give it."""
    if text.startswith("<"):
        return _from_xml(text)
    if not text.startswith("{"):
        raise UnreadableError("the answer's result is one word that no document names")
    return _of_members(_members(text))


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object with its doubled names kept."""

    members: list[tuple[str, Any]]


def _members(text: str) -> list[tuple[str, Any]]:
    parsed = _parsed(text)
    assert isinstance(parsed, _Object)  # it begins with a brace
    return parsed.members


def _parsed(text: str) -> Any:
    try:
        return json.loads(
            text, strict=False, object_pairs_hook=_Object, parse_int=_integer, parse_float=str, parse_constant=str
        )
    except (ValueError, RecursionError):
        raise UnreadableError("the answer is not whole JSON") from None


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else digits


def _scalars(members: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, value in members:
        if isinstance(value, bool):
            yield name, str(value)
        elif isinstance(value, int):
            # A respCode that became a number has lost its zeros on the way.
            yield name, f"{value:05d}" if name.lower() == "respcode" else str(value)
        elif isinstance(value, str):
            yield name, value
        elif isinstance(value, (list, _Object)) and value != []:
            yield name, NESTED


def _json_rows(value: Any) -> Iterator[tuple[str, str]]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, _Object):
            yield from _rows(_scalars(item.members))


# XML


def _from_xml(text: str) -> Leaves:
    refuse_declarations(text)
    try:
        # No DTD gets this far, the size is capped, and expat does not open what entities name.
        return _from_tree(ElementTree.fromstring(text))  # noqa: S314
    except (ElementTree.ParseError, ValueError):
        return _salvaged(text)


def refuse_declarations(text: str) -> None:
    if _DECLARES.search(text):
        raise UnreadableError("the answer declares a document type or an entity")


def _from_tree(root: ElementTree.Element, *, salvaged: bool = False) -> Leaves:
    if _HTML.match(f"<{_name(root)}>"):
        raise UnreadableError("the answer is a web page")
    pairs: list[tuple[str, str]] = []
    rows: list[tuple[str, str]] = []
    for element in root.iter():
        leaves = [(_name(child), child.text or "") for child in element if len(child) == 0]
        found = [] if element is root else _rows(leaves)
        rows += found
        pairs += [] if found else leaves
        name = _name(element).lower()
        if len(element) and (name == "faillist" or (name in IDS and not found)):
            pairs.append((name, NESTED))
    values = _gather(pairs)
    return Leaves(values, rows + _listed(values), salvaged)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _salvaged(text: str) -> Leaves:
    markup = plain(text)
    if _HTML.search(markup):
        raise UnreadableError("the answer is a web page")
    try:
        return _from_tree(ElementTree.fromstring(markup), salvaged=True)  # noqa: S314
    except (ElementTree.ParseError, ValueError):
        return _from_pieces(markup)


def _from_pieces(markup: str) -> Leaves:
    rows = [row for found in _ROW.finditer(markup) for row in _rows(_unescaped(found.groups()))]
    rest = _ROW.sub("", markup)
    # A blank here may be the indent before a nested tag.
    pairs = [pair for found in _LEAF.finditer(rest) if found[2].strip() for pair in _unescaped(found.groups())]
    if _LIST.search(rest):
        pairs.append(("faillist", NESTED))
    values = _gather(pairs)
    return Leaves(values, rows + _listed(values), salvaged=True, cut=not is_whole(markup))


def _unescaped(groups: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names and values in turn."""
    return ((name, text_of(value)) for name, value in zip(groups[::2], groups[1::2], strict=True))
