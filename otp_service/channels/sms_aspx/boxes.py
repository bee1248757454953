"""Lists of the family: delivery reports (`statusbox`) and replies from handsets (`callbox`), polled or pushed.

Rows are handed out once, so what is damaged is salvaged row by row; a row that is not whole is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

from otp_service.channels.sms_aspx.forms import MOST_ROWS, mainland_number
from otp_service.channels.sms_aspx.leaves import UnreadableError, bare_id, decoded, refuse_declarations
from otp_service.channels.sms_aspx.markup import plain, text_of
from otp_service.channels.sms_aspx.rules import FAILURE_WORDS
from otp_service.channels.words import gateway_words
from otp_service.ports import ChannelError, Reply, Report

MAX_LIST = 2 * 1024 * 1024
"""Bytes of one list: 4,000 rows, as many as are handed out at once, of up to 500 bytes."""
MAX_ROWS = MOST_ROWS
STATUSES, CALLS = "statusbox", "callbox"

Fields = dict[str, str]

_END = {"10": True, "DELIVRD": True, "20": False, "UNDELIV": False}
_DONE_IN_JSON = frozenset({"0", "1", ""})
_OPENING = rf"<(?:{STATUSES}|{CALLS})>"
# No row reaches over the next one's beginning: a list of rows that never end would be read once for each of them.
_XML_ROW = re.compile(rf"<({STATUSES}|{CALLS})>((?:(?!{_OPENING}).)*?)</\1>", re.DOTALL)
_XML_LEAF = re.compile(r"<(\w+)>([^<]*)</\1>")
_JSON_ROW = re.compile(r"\{[^{}\[\]]*\}")
_LONGEST_ID = 64


def read_rows(body: bytes, kind: str) -> Sequence[Fields]:
    """Rows of `kind`, names in lower case. Raises `ChannelError` for a refusal, `UnreadableError` for no list."""
    text = decoded(body)
    if text.startswith("{"):
        return _from_json(text, kind)
    if text.startswith("<"):
        return _from_xml(text, kind)
    raise UnreadableError("the answer is neither JSON nor XML" if text else "the answer is empty")


def report(row: Fields) -> Report | None:
    """None for a row that names no message."""
    if not (gateway_id := _id(row)):
        return None
    code = row.get("errorcode", "")
    return Report(gateway_id, _number(row), _delivered(row.get("status", ""), code), gateway_words(code))


def reply(row: Fields) -> Reply | None:
    """None for a row that names no number."""
    if not (to := _number(row)):
        return None
    return Reply(to, row.get("content", ""), _id(row), row.get("extno", ""))


def _delivered(status: str, code: str) -> bool | None:
    """The status wins; one that no document knows is no end. Without one the errorcode tells."""
    if status:
        return _END.get(status.upper())
    return code.upper() == "DELIVRD" if code else None


def _id(row: Fields) -> str:
    given = bare_id(row.get("taskid", ""))
    return given if given.strip("0-") and len(given) <= _LONGEST_ID and given.isprintable() else ""


def _number(row: Fields) -> str:
    """E.164; the family has mainland mobiles only, with or without their country code."""
    digits = re.sub(r"[^0-9]", "", row.get("mobile", ""))
    e164 = f"+86{digits[-11:]}"
    return e164 if digits[:-11] in ("", "86", "0086") and mainland_number(e164) else ""


# JSON


def _from_json(text: str, kind: str) -> Sequence[Fields]:
    try:
        document = json.loads(text, strict=False, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return _or_unreadable([row for found in _JSON_ROW.findall(text) for row in _json_row(found)])
    given = {name.lower(): value for name, value in document.items()}
    error = str(given.get("error") or "").strip()
    if error not in _DONE_IN_JSON:
        raise _refused(str(given.get("remark") or ""))
    if kind not in given and not error:
        raise UnreadableError(f"the answer has no {kind}")
    rows = given.get(kind) or []
    return [_fields(row) for row in (rows if isinstance(rows, list) else [rows]) if isinstance(row, dict)]


def _json_row(text: str) -> Iterator[Fields]:
    try:
        yield _fields(json.loads(text, strict=False, parse_int=str, parse_float=str))
    except (ValueError, RecursionError):
        return


def _fields(row: dict[str, Any]) -> Fields:
    return {name.lower(): str(value).strip() for name, value in row.items() if isinstance(value, str)}


# XML


def _from_xml(text: str, kind: str) -> Sequence[Fields]:
    refuse_declarations(text)
    try:
        # No DTD gets this far, and the size is capped.
        return _from_tree(ElementTree.fromstring(text), kind)  # noqa: S314
    except (ElementTree.ParseError, ValueError):
        return _salvaged(plain(text), kind)


def _salvaged(markup: str, kind: str) -> Sequence[Fields]:
    try:
        return _from_tree(ElementTree.fromstring(markup), kind)  # noqa: S314
    except (ElementTree.ParseError, ValueError):
        found = [_leaves(row[2]) for row in _XML_ROW.finditer(markup) if row[1] == kind]
        return _or_unreadable([row for row in found if row])


def _from_tree(root: ElementTree.Element, kind: str) -> Sequence[Fields]:
    if _name(root) != "returnsms":
        raise UnreadableError("the answer is no list of this family")
    rows = [row for row in root.iter() if _name(row) == kind]
    refusal = next((one for one in root.iter() if _name(one) == "errorstatus"), None)
    if not rows and refusal is not None:
        raise _refused(_of(refusal).get("remark", ""))
    said = _of(root)
    if not rows and said.get("returnstatus", "").lower() in FAILURE_WORDS:
        raise _refused(said.get("message", ""))
    return [_of(row) for row in rows]


def _of(row: ElementTree.Element) -> Fields:
    return {_name(leaf): (leaf.text or "").strip() for leaf in row}


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2].lower()


def _leaves(markup: str) -> Fields:
    """Nothing of a row whose status can't be read: without one its errorcode would speak."""
    found = {leaf[1]: text_of(leaf[2]) for leaf in _XML_LEAF.finditer(markup)}
    return found if "status" in found or "<status>" not in markup else {}


def _or_unreadable(rows: Sequence[Fields]) -> Sequence[Fields]:
    if not any(row.get("mobile") for row in rows):
        raise UnreadableError("the answer is damaged")
    return rows


def _refused(words: str) -> ChannelError:
    return ChannelError(f"the gateway refused the query: {gateway_words(words) or 'it gave no reason'}")
