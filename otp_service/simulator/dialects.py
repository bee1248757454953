"""The byte layouts of the family's answers. One `Answer` in, bytes out, exactly as gateways in the field write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from html import escape

from otp_service.simulator.wire import Headers, Response
from otp_service.simulator.words import MIAODI_WORDS, miaodi_words

CHINA = timezone(timedelta(hours=8))
"""The family speaks China time, wherever its servers are."""


class Profile(StrEnum):
    """Whose manners are followed: fields, credentials, sendTime and the shape of answers."""

    SEED = "seed"
    CLASSIC = "classic"
    V2 = "v2"
    HUAXIN = "huaxin"
    MIAODI = "miaodi"


class Shape(StrEnum):
    """How an answer is laid out."""

    XML = "xml"
    PASCAL = "pascal"
    """`{"ReturnStatus":…}`, numbers as numbers: v2 with rt=json."""
    LOWER = "lower"
    """`{"returnstatus":…}`, everything a string: huaxin."""
    MIAODI = "miaodi"
    """`{"respCode":…}`."""


SHAPES = {Profile.HUAXIN: Shape.LOWER, Profile.MIAODI: Shape.MIAODI}
"""What a profile answers unless asked or told otherwise; the others answer XML."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a send came to, before it has a layout. `failed` are (number, respCode) pairs, miaodi only."""

    success: bool
    message: str
    resp_code: str
    remain: int = 0
    task: str = "0"
    count: int = 0
    failed: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> str:
        return "Success" if self.success else "Faild"


@dataclass(frozen=True, slots=True)
class Style:
    """How one answer is to be written: its shape, and the charset that its path speaks (`utf-8` or `gbk`)."""

    shape: Shape
    charset: str = "utf-8"

    @property
    def declared(self) -> str:
        return "gb2312" if self.charset == "gbk" else self.charset

    @property
    def content_type(self) -> str:
        kind = "text/xml" if self.shape is Shape.XML else "application/json"
        return f"{kind}; charset={self.declared}"

    def response(self, text: str, headers: Headers = ()) -> Response:
        return Response(200, text.encode(self.charset, "replace"), self.content_type, headers)


def clock(now: float) -> str:
    return datetime.fromtimestamp(now, CHINA).strftime("%Y-%m-%d %H:%M:%S")


def rfc3339(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def layout(answer: Answer, style: Style) -> str:
    """The text of an answer to a send."""
    match style.shape:
        case Shape.XML:
            return xml_leaves(
                style.declared,
                returnstatus=answer.status,
                message=answer.message,
                remainpoint=answer.remain,
                taskID=answer.task,
                successCounts=answer.count,
            )
        case Shape.PASCAL:
            task = int(answer.task) if answer.task.isdecimal() else answer.task
            return compact(
                ReturnStatus=answer.status,
                Message=answer.message,
                RemainPoint=answer.remain,
                TaskID=task,
                SuccessCounts=answer.count,
            )
        case Shape.LOWER:
            return compact(
                returnstatus=answer.status,
                message="操作成功" if answer.message == "ok" else answer.message,
                remainpoint=str(answer.remain),
                taskID="" if answer.task == "0" else answer.task,
                successCounts=str(answer.count),
            )
        case Shape.MIAODI:
            return _miaodi(answer)


def _miaodi(answer: Answer) -> str:
    if not answer.success:
        words = answer.message if answer.resp_code not in MIAODI_WORDS else miaodi_words(answer.resp_code)
        return compact(respCode=answer.resp_code, respDesc=words)
    return compact(
        respCode=answer.resp_code,
        respDesc=miaodi_words(answer.resp_code),
        failCount=str(len(answer.failed)),
        failList=[{"phone": phone, "respCode": code} for phone, code in answer.failed],
        smsId=answer.task,
    )


def xml_leaves(declared: str, **leaves: object) -> str:
    """`returnsms` with one leaf a line: CRLF and a blank before each, none after the last."""
    lines = "".join(f"\r\n <{name}>{escape(str(value), quote=False)}</{name}>" for name, value in leaves.items())
    return f'<?xml version="1.0" encoding="{declared}" ?><returnsms>{lines}</returnsms>'


def compact(**members: object) -> str:
    """JSON without blanks, Chinese as it is."""
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


def overage(style: Style, left: int, sent: int, *, postpaid: bool) -> str:
    """The answer to `action=overage`; `Sucess` is how the family spells it."""
    kind = "后付费" if postpaid else "预付费"
    match style.shape:
        case Shape.PASCAL:
            return compact(ReturnStatus="Sucess", Message="", PayInfo=kind, Overage=left, SendTotal=sent)
        case Shape.LOWER | Shape.MIAODI:
            return compact(returnstatus="Sucess", message="", payinfo=kind, overage=str(left), sendTotal=str(sent))
        case Shape.XML:
            return xml_leaves(
                style.declared, returnstatus="Sucess", message="", payinfo=kind, overage=left, sendTotal=sent
            )


def keywords(style: Style, found: str) -> str:
    """The answer to `action=checkkeyword`: the status says Success whether or not a word was found."""
    message = f"包含非法字符：{found}" if found else "没有包含屏蔽词"
    if style.shape is Shape.PASCAL:
        return compact(ReturnStatus="Success", Message=message)
    if style.shape is Shape.XML:
        return xml_leaves(style.declared, returnstatus="Success", message=message)
    return compact(returnstatus="Success", message=message)


def boxes(style: Style, kind: str, rows: Sequence[dict[str, str]]) -> str:
    """The answer to a query: `statusbox` (reports) or `callbox` (replies)."""
    if style.shape is not Shape.XML:
        return compact(error="1", remark="成功", **{kind: list(rows)})
    inner = "".join(f"<{kind}>{_leaves(row)}</{kind}>" for row in rows)
    return f'<?xml version="1.0" encoding="{style.declared}" ?><returnsms>{inner}</returnsms>'


def _leaves(row: dict[str, str]) -> str:
    return "".join(f"<{name}>{escape(value, quote=False)}</{name}>" for name, value in row.items())


_QUERY_ERRORS = {"credentials_missing": ("1", "1001"), "credentials": ("2", "1005"), "suspended": ("3", "1006")}
_QUERY_WORDS = {"credentials": "密码错了"}


def query_error(style: Style, kind: str, name: str, message: str) -> str:
    """A refused query. XML: 1 empty, 2 wrong credentials, 3 not allowed, 4 bad parameters; JSON: 1005 wrong password.

    The other JSON numbers are documented nowhere and are ours.
    """
    in_xml, in_json = _QUERY_ERRORS.get(name, ("4", "1004"))
    if style.shape is not Shape.XML:
        return compact(error=in_json, remark=_QUERY_WORDS.get(name, message), **{kind: []})
    return (
        f'<?xml version="1.0" encoding="{style.declared}" ?><returnsms><errorstatus>'
        f"<error>{in_xml}</error><remark>{escape(message, quote=False)}</remark></errorstatus></returnsms>"
    )
