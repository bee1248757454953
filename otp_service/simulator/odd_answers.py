"""Well-sent answers of an odd shape: what gateways in the field have been seen to write, and what an attacker would."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from otp_service.simulator.dialects import Answer, Shape, Style, compact, layout
from otp_service.simulator.wire import Reply, Response

_XML = Style(Shape.XML)
_WRONG_PASSWORD = Answer(False, "用户名或密码错误", "00040")


@dataclass(frozen=True, slots=True)
class Case:
    """The occasion of a fault: what the honest answer would be, how it would be written, and for which number."""

    answer: Answer
    style: Style
    mobile: str
    response: Response | None = None
    """What to answer honestly when it is not the answer to a send."""

    @classmethod
    def plain(cls, response: Response, mobile: str = "") -> Case:
        """Of an answer that is no `returnsms`: only what works on any answer can happen to it."""
        return cls(Answer(False, "", ""), _XML, mobile, response)

    def honest(self) -> Response:
        return self.response or self.style.response(layout(self.answer, self.style))

    def with_answer(self, answer: Answer) -> Response:
        return replace(self, answer=answer).honest()

    @property
    def failure(self) -> Answer:
        return replace(self.answer, success=False, message="其他错误", resp_code="00001", remain=0, count=0)


Replier = Callable[[Case], Reply]


@dataclass(frozen=True, slots=True)
class OddAnswer:
    """`accepts`: whether the message is accepted all the same."""

    name: str
    about: str
    accepts: bool
    write: Replier


def _xml(text: str, charset: str = "utf-8") -> Response:
    return Response(200, text.encode(charset), f"text/xml; charset={charset}")


def _json(text: str) -> Response:
    return Response(200, text.encode(), "application/json; charset=utf-8")


def _success_xml(case: Case, **changes: object) -> str:
    return layout(replace(case.answer, **changes), _XML)  # type: ignore[arg-type]


def _lie(declared: str, real: str, *, refused: bool = False) -> Replier:
    def write(case: Case) -> Reply:
        text = layout(_WRONG_PASSWORD, _XML) if refused else _success_xml(case, message="操作成功")
        body = text.replace('encoding="utf-8"', f'encoding="{declared}"').encode(real)
        return Response(200, body, f"text/xml; charset={declared}")

    return write


def _damaged(case: Case) -> Reply:
    """The sample of an interface document in circulation: its end tags and its nesting are broken just so."""
    return _xml(
        '<?xml version="1.0" encoding="utf-8"?>\n    <returnsms>\n       <returnsms>status</returnsms>\n'
        "       <message>message;/message;\n       <remainpoint>remainpoint</remainpoint>\n"
        "\t   <successCounts>successCounts</successCounts>\n       <taskID>\n"
        f"          <phone>{case.mobile} </phone>\n          <returnsms>00111 </returnsms>\n"
        "    </taskID>\n    </returnsms>\n"
    )


_PLACEHOLDERS = "".join(
    f"<{leaf}>{word}</{leaf}>"
    for leaf, word in (
        *(("returnstatus", "status"), ("message", "message"), ("remainpoint", "remainpoint")),
        *(("taskID", "taskID"), ("successCounts", "successCounts")),
    )
)
_HTML = (
    b"<html><head><title>Runtime Error</title></head><body>Server Error in '/' Application."
    b" <script>document.cookie</script> Success</body></html>"
)


def _doctype(declarations: str) -> Replier:
    def write(case: Case) -> Reply:
        body = _success_xml(case).partition("?>")[2].replace("Success", "&a;", 1)
        return _xml(f'<?xml version="1.0"?><!DOCTYPE r [{declarations}]>{body}')

    return write


_LAUGHS = '<!ENTITY l0 "Success">' + "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
_LAUGHS += '<!ENTITY a "&l9;">'
_QUADRATIC = f'<!ENTITY q "{"x" * 20_000}"><!ENTITY a "{"&q;" * 5_000}">'
_EXTERNAL = '<!ENTITY a SYSTEM "file:///etc/hostname">'


def _wrapped(*, as_text: bool) -> Replier:
    def write(case: Case) -> Reply:
        inner = layout(case.answer, Style(Shape.PASCAL if case.style.shape is Shape.XML else case.style.shape))
        return _json(compact(result=inner if as_text else json.loads(inner)))

    return write


def _miaodi(**members: object) -> Replier:
    """An answer of the miaodi shape on any path; the seed profile has to understand it."""

    def write(case: Case) -> Reply:
        filled = json.loads(compact(**members).replace("MOBILE", case.mobile))
        return _json(compact(**filled, smsId=case.answer.task))

    return write


def _cut(case: Case) -> Reply:
    response = case.honest()
    return replace(response, body=response.body[: len(response.body) * 2 // 5])


def _html(case: Case) -> Reply:
    return Response(200, _HTML, "text/html")


def _mislabelled(case: Case) -> Reply:
    return replace(case.honest(), content_type="text/html; charset=iso-8859-1")


def _altered(**changes: object) -> Replier:
    """The honest answer, in its own layout, with some of its values changed."""
    return lambda case: case.with_answer(replace(case.answer, **changes))  # type: ignore[arg-type]


def _rewritten(old: str, new: str) -> Replier:
    """The XML of a success with its first `old` replaced."""
    return lambda case: _xml(_success_xml(case).replace(old, new, 1))


def _failure_with_task(case: Case) -> Reply:
    return case.with_answer(case.failure)


def _failure_with_count(case: Case) -> Reply:
    return case.with_answer(replace(case.failure, task="0", count=1))


_FAILED = layout(Answer(False, "操作失败", "00999"), _XML).replace("Faild", "Failed")
_DECLARATION = '<?xml version="1.0" encoding="utf-8" ?>'
_DEEP = '{"a":' * 10_000
_BIG = '{"respCode":' + "9" * 50_000 + "}"
_OURS = [{"phone": "MOBILE", "respCode": "00111"}]
_ANOTHER = [{"phone": "13000000000", "respCode": "00111"}]
_GOOD = {"respCode": "00000", "respDesc": "请求成功。", "failCount": "0", "failList": []}


def _failing(listed: list[dict[str, str]]) -> dict[str, object]:
    return {"failCount": "1", "failList": listed}


def _constant(response: Response) -> Replier:
    return lambda case: response


def _line_feeds(case: Case) -> Reply:
    return _xml(_success_xml(case).replace("\r\n", "\n"))


_BODIES = (
    OddAnswer("count_zero", "Success with count 0.", False, _altered(count=0)),
    OddAnswer("failure_with_task", "Failure with a real taskID.", True, _failure_with_task),
    OddAnswer("failure_with_count", "Failure with count 1.", True, _failure_with_count),
    OddAnswer("html", "HTTP 200 with an HTML error page.", False, _html),
    OddAnswer("empty", "HTTP 200 with an empty body.", False, _constant(_xml(""))),
    OddAnswer("damaged", "Damaged XML that says 00111 for the number.", False, _damaged),
    OddAnswer("damaged_success", "A success with a damaged tag.", True, _rewritten("</message>", ";/message;")),
    OddAnswer("placeholders", "Only placeholders.", False, _constant(_xml(f"<returnsms>{_PLACEHOLDERS}</returnsms>"))),
    OddAnswer("gb2312_is_utf8", "gb2312 declared, really UTF-8: success.", True, _lie("gb2312", "utf-8")),
    OddAnswer("utf8_is_gbk", "UTF-8 declared, really GBK: success.", True, _lie("utf-8", "gbk")),
    OddAnswer("gb2312_is_utf8_refused", "The same: wrong password.", False, _lie("gb2312", "utf-8", refused=True)),
    OddAnswer("utf8_is_gbk_refused", "The same: wrong password.", False, _lie("utf-8", "gbk", refused=True)),
    OddAnswer("bom", "BOM and blank lines before a success.", True, _rewritten("<?xml", "\ufeff\r\n\r\n<?xml")),
    OddAnswer("no_declaration", "A success without XML declaration.", True, _rewritten(_DECLARATION, "")),
    OddAnswer("line_feeds", "A success with LF line ends.", True, _line_feeds),
    OddAnswer("sucess", "Success spelt Sucess.", True, _rewritten("Success<", "Sucess<")),
    OddAnswer("lower_blanks", "Success in lower case between blanks.", True, _rewritten("Success<", " success <")),
    OddAnswer("failed", "Failed, with a text that nobody knows.", False, _constant(_xml(_FAILED))),
    OddAnswer("negative_balance", "A success with a negative balance.", True, _altered(remain=-235010)),
    OddAnswer("cut", "A body cut short, of honest length.", True, _cut),
    OddAnswer("dtd", "A DTD with an entity that says Success.", False, _doctype('<!ENTITY a "Success">')),
    OddAnswer("dtd_laughs", "A DTD bomb: a billion laughs.", False, _doctype(_LAUGHS)),
    OddAnswer("dtd_quadratic", "A DTD bomb: quadratic.", False, _doctype(_QUADRATIC)),
    OddAnswer("dtd_external", "A DTD that names a local file.", False, _doctype(_EXTERNAL)),
    OddAnswer("rt_ignored", "XML, whatever rt asked for.", True, lambda case: _xml(_success_xml(case))),
    OddAnswer("content_type", "A good answer labelled text/html; charset=iso-8859-1.", True, _mislabelled),
    OddAnswer("result_object", "JSON within one `result` object.", True, _wrapped(as_text=False)),
    OddAnswer("result_string", "JSON as a string within `result`.", True, _wrapped(as_text=True)),
    OddAnswer("json_depth", "JSON nested 10,000 deep.", False, _constant(_json(_DEEP))),
    OddAnswer("json_integer", "JSON with an integer of 50,000 digits.", False, _constant(_json(_BIG))),
)
_MIAODI = (
    OddAnswer("miaodi_accepted", "respCode 00000, on any path.", True, _miaodi(**_GOOD)),
    OddAnswer("miaodi_four_zeros", "respCode 0000.", True, _miaodi(**{**_GOOD, "respCode": "0000"})),
    OddAnswer("miaodi_integer", "respCode as the integer 0.", True, _miaodi(respCode=0, failCount=0, failList=[])),
    OddAnswer("miaodi_integer_code", "respCode as the integer 23.", False, _miaodi(respCode=23)),
    OddAnswer("miaodi_fail_list", "00000, but 00111 for the number.", False, _miaodi(**_GOOD | _failing(_OURS))),
    OddAnswer("miaodi_other_number", "00000, but 00111 for another.", True, _miaodi(**_GOOD | _failing(_ANOTHER))),
    OddAnswer("miaodi_fail_count", "failCount 1, no failList.", False, _miaodi(respCode="00000", failCount="1")),
)
ODD_ANSWERS = (*_BODIES, *_MIAODI)
"""In the order of their digits: 9701, 9702, …"""
