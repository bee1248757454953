"""Gateways that exist nowhere, each made to work by its configuration alone."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from otp_service.errors import ConfigError
from otp_service.ports import Message, Outcome, Reason, TryResult
from otp_service.safe_pattern import LONGEST_TEXT, compile_safe
from tests.channel_tables import MESSAGE, SECRET, TEXT, deliver, refusal, warnings
from tests.raw_gateway import Play, RawGateway, http_answer, resets, says

FORM = f"""
protocol = "http_template"
url = "http://gateway.example/send.php"
account = "me & you"
password = "{SECRET}"
body = "user={{{{ account }}}}&pass={{{{ password }}}}&to={{{{ national }}}}&from={{{{ extno }}}}&msg={{{{ text }}}}"
accept = [{{ text = "^OK [0-9]++$" }}]
reject = [
  {{ text = "^ERR ([0-9]++)", one_of = ["101", "102"], reason = "number" }},
  {{ text = "^ERR ([0-9]++)", equals = "201", reason = "balance" }},
  {{ status = 403, text = "too many", reason = "rate" }},
]
retry = [{{ text = "^BUSY" }}]
id = {{ text = "^OK ([0-9]++)$" }}
"""

JSON = f"""
protocol = "http_template"
url = "http://gateway.example/v2/messages"
content_type = "json"
account = "key-1"
password = "{SECRET}"
headers = {{ Authorization = "Basic {{{{ basic }}}}", X-Request = "{{{{ reference }}}}" }}
body = '{{"messages": [{{"to": {{{{ digits }}}}, "text": "{{{{ text }}}}", "ttl": {{{{ minutes }}}}}}]}}'
accept = [{{ path = "results.0.status", equals = "0" }}]
reject = [
  {{ path = "results.0.status", one_of = ["4", "5"], reason = "number" }},
  {{ path = "/error/kind", matches = "^auth", reason = "account" }},
]
retry = [{{ status = [500, 502], path = "temporary", equals = "true" }}]
id = {{ path = "results.0.id" }}
words = {{ path = "results.0.description" }}
"""

XML = f"""
protocol = "http_template"
url = "http://gateway.example/soap"
content_type = "xml"
account = "me"
password = "{SECRET}"
body = '<?xml version="1.0"?><send key="{{{{ password }}}}"><to>{{{{ to }}}}</to><m>{{{{ text }}}}</m></send>'
accept = [{{ status = [200, 202], text = '<result>\\s*+([A-Z]++)\\s*+</result>', equals = "ACCEPTED" }}]
reject = [{{ text = '<result>([A-Z]++)</result>', equals = "SPAM", reason = "content" }}]
id = {{ text = "<id>([0-9a-f-]++)</id>" }}
"""

GATEWAYS = {"form": FORM, "json": JSON, "xml": XML}


def asked(table: str, message: Message = MESSAGE, **changes: Any) -> tuple[str, dict[str, str], bytes]:
    """Request line, headers and body of what leaves."""
    with RawGateway(says(http_answer())) as gateway:
        changes = {"url": f"http://{gateway.host}/send", **changes}
        changes["url"] = changes["url"].replace("gateway.example", gateway.host)
        deliver(table, message, **changes)
    head, _, body = gateway.requests[0].partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    return lines[0], {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}, body


def answered(table: str, play: Play, **changes: Any) -> TryResult:
    with RawGateway(play) as gateway:
        return deliver(table, url=f"http://{gateway.host}/send", **changes)


def test_a_form_is_filled_and_escaped() -> None:
    line, headers, body = asked(FORM)
    assert line == "POST /send HTTP/1.1"
    assert headers["content-type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert parse_qs(body.decode(), strict_parsing=True) == {
        "user": ["me & you"],
        "pass": [SECRET],
        "to": ["7400123456"],
        "from": ["77"],
        "msg": [TEXT],
    }


def test_a_form_in_gbk_is_filled_and_what_gbk_lacks_never_leaves() -> None:
    _, headers, body = asked(FORM, Message(MESSAGE.to, "验证码345678"), encoding="gbk", account="me")
    assert headers["content-type"].endswith("charset=gbk")
    assert parse_qs(body.decode(), encoding="gbk")["msg"] == ["验证码345678"]
    lacking = deliver(FORM, Message(MESSAGE.to, "€"), encoding="gbk", account="me")
    assert (lacking.outcome, lacking.reason) == (Outcome.REJECTED, Reason.CONTENT)


def test_json_is_filled_and_escaped() -> None:
    _, headers, body = asked(JSON)
    assert json.loads(body) == {"messages": [{"to": 447400123456, "text": TEXT, "ttl": 5}]}
    assert headers["content-type"] == "application/json"
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode() == f"key-1:{SECRET}"
    assert headers["x-request"] == "ref-1"


def test_xml_is_filled_and_escaped() -> None:
    _, headers, body = asked(XML)
    document = ElementTree.fromstring(body)
    assert (document.get("key"), document.findtext("to"), document.findtext("m")) == (SECRET, MESSAGE.to, TEXT)
    assert headers["content-type"] == "application/xml; charset=utf-8"


def test_plain_text_is_filled_line_by_line() -> None:
    body = "to: {{ to }}\ntext: {{ text }}\n"
    assert asked(FORM, content_type="text", body=body)[2].decode().splitlines() == [
        f"to: {MESSAGE.to}",
        f"text: {TEXT.replace(chr(10), ' ')}",
    ]


def test_a_get_carries_its_values_in_the_address() -> None:
    url = "http://gateway.example/send?to={{ digits }}&m={{ text }}&k={{ password }}"
    line, _, body = asked(FORM, url=url, method="GET", body=None)
    assert parse_qs(urlsplit(line.split()[1]).query) == {"to": ["447400123456"], "m": [TEXT], "k": [SECRET]}
    assert body == b""


HOSTILE = 'a", "to": "1"}\r\nX-Evil: 1\r\n\r\n</m><to>1</to>&to=1{{ password }}\u2028\x00]]>'


@pytest.mark.parametrize("kind", GATEWAYS)
def test_no_value_can_be_more_than_a_value(kind: str) -> None:
    """A text, a reference and a sender with everything that could end a value or begin another."""
    message = Message(
        MESSAGE.to, HOSTILE, code="345678", extno=HOSTILE, reference=HOSTILE.encode("ascii", "replace").decode()
    )
    _, headers, body = asked(GATEWAYS[kind], message)
    assert "x-evil" not in headers
    assert SECRET.encode() not in body or kind != "json"
    if kind == "form":
        assert set(parse_qs(body.decode(), strict_parsing=True)) == {"user", "pass", "to", "from", "msg"}
        assert parse_qs(body.decode())["msg"] == [HOSTILE]
    elif kind == "json":
        assert json.loads(body)["messages"] == [{"to": 447400123456, "text": HOSTILE, "ttl": 0}]
    else:
        document = ElementTree.fromstring(body)
        assert [child.tag for child in document] == ["to", "m"]
        assert "{{ password }}" in (document.findtext("m") or "")


ACCEPTED = Outcome.ACCEPTED
REJECTED = Outcome.REJECTED
RETRYABLE = Outcome.RETRYABLE
UNKNOWN = Outcome.UNKNOWN

ANSWERS: list[tuple[str, int, bytes, Outcome, Reason | None, str]] = [
    ("form", 200, b"OK 123", ACCEPTED, None, "123"),
    ("form", 200, b"\xef\xbb\xbf OK 123\r\n", ACCEPTED, None, "123"),
    ("form", 200, b"ERR 101 no such number", REJECTED, Reason.NUMBER, ""),
    ("form", 200, b"ERR 201", REJECTED, Reason.BALANCE, ""),
    ("form", 200, b"ERR 999", UNKNOWN, Reason.ANSWER, ""),
    ("form", 200, b"BUSY", RETRYABLE, None, ""),
    ("form", 200, b"", UNKNOWN, Reason.ANSWER, ""),
    ("form", 200, b"<html>a cookie that is OK 123</html>", UNKNOWN, Reason.ANSWER, ""),
    ("form", 500, b"OK 123", UNKNOWN, Reason.ANSWER, ""),
    ("form", 302, b"", UNKNOWN, Reason.ANSWER, ""),
    ("form", 403, b"too many", REJECTED, Reason.RATE, ""),
    ("form", 403, b"", REJECTED, Reason.ACCOUNT, ""),
    ("form", 503, b"", RETRYABLE, None, ""),
    ("form", 200, b"OK 447400123456", ACCEPTED, None, ""),
    ("form", 200, b"OK 345678", ACCEPTED, None, ""),
    ("json", 200, b'{"results": [{"status": 0, "id": "a-1", "description": "queued"}]}', ACCEPTED, None, "a-1"),
    ("json", 201, b'{"results":[{"status":"0", "id": 98765432109876543210}]}', ACCEPTED, None, "98765432109876543210"),
    ("json", 200, b'{"results": [{"status": 5}]}', REJECTED, Reason.NUMBER, ""),
    ("json", 200, b'{"results": [{"status": 0.0}]}', UNKNOWN, Reason.ANSWER, ""),
    ("json", 200, b'{"results": [{"status": null}]}', UNKNOWN, Reason.ANSWER, ""),
    ("json", 200, b'{"results": {"0": {"status": "0"}}}', ACCEPTED, None, ""),
    ("json", 200, b'{"results": []}', UNKNOWN, Reason.ANSWER, ""),
    ("json", 200, b'{"results": [{"status": "0", "status": "5"}]}', UNKNOWN, Reason.ANSWER, ""),
    ("json", 200, b'{"results": [{"status": "0"}]', UNKNOWN, Reason.ANSWER, ""),
    ("json", 200, b"[" * 60_000, UNKNOWN, Reason.ANSWER, ""),
    ("json", 401, b'{"error": {"kind": "auth-missing"}}', REJECTED, Reason.ACCOUNT, ""),
    ("json", 400, b'{"results": [{"status": 4}]}', REJECTED, Reason.NUMBER, ""),
    ("json", 500, b'{"temporary": true}', RETRYABLE, None, ""),
    ("json", 200, b'{"results": [{"status": "0"}], "error": {"kind": "auth"}}', UNKNOWN, Reason.ANSWER, ""),
    ("json", 200, b'{"results": [{"status": "0"}]}' + b" " * 70_000, UNKNOWN, Reason.ANSWER, ""),
    ("xml", 202, b"<r><result> ACCEPTED </result><id>9f-1</id></r>", ACCEPTED, None, "9f-1"),
    ("xml", 201, b"<r><result>ACCEPTED</result></r>", UNKNOWN, Reason.ANSWER, ""),
    ("xml", 200, b"<r><result>SPAM</result></r>", REJECTED, Reason.CONTENT, ""),
    ("xml", 200, "<r>失败</r>".encode("gbk"), UNKNOWN, Reason.ANSWER, ""),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "status", "body", "outcome", "reason", "id"), ANSWERS)
def test_an_answer_means_what_the_rules_say(
    kind: str, status: int, body: bytes, outcome: Outcome, reason: Reason | None, id: str
) -> None:
    result = answered(GATEWAYS[kind], says(http_answer(status, body)))
    assert (result.outcome, result.reason, result.gateway_id) == (outcome, reason, id)


def test_the_words_that_are_kept_are_those_of_the_rule_or_the_whole_answer() -> None:
    said = b'{"results": [{"status": 5, "description": "no such subscriber"}]}'
    assert answered(JSON, says(http_answer(body=said))).detail == "no such subscriber"
    assert answered(FORM, says(http_answer(body=b"ERR 101\r\nno such number"))).detail == "ERR 101 no such number"


def test_retry_after_is_passed_on() -> None:
    busy = http_answer(body=b"BUSY", headers={"Retry-After": "7"})
    assert answered(FORM, says(busy)).retry_after == 7
    assert answered(FORM, says(http_answer(429, headers={"Retry-After": "9"}))).retry_after == 9


def test_no_secret_number_or_code_comes_back_in_words() -> None:
    echo = (
        f"ERR 201 me:{SECRET} {base64.b64encode(f'me & you:{SECRET}'.encode()).decode()} 07400 123456 7400123456 345678"
    )
    result = answered(FORM, says(http_answer(body=echo.encode())))
    for secret in (SECRET, "7400123456", "123456", "345678", base64.b64encode(b"me & you").decode()[:8]):
        assert secret not in repr(result)


def test_what_a_network_does_is_an_outcome() -> None:
    refused = deliver(FORM, url="http://127.0.0.1:1/")
    assert (refused.outcome, refused.reason) == (RETRYABLE, Reason.NETWORK)
    reset = answered(FORM, resets)
    assert (reset.outcome, reset.reason) == (UNKNOWN, Reason.NETWORK)


def test_a_number_in_no_plan_is_rejected_and_nothing_leaves() -> None:
    result = deliver(FORM, Message("+999", "text"))
    assert (result.outcome, result.reason) == (REJECTED, Reason.NUMBER)


FAULTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("form", {"url": "gateway.example"}, "channels.own.url", "http"),
    ("form", {"url": "http://{{ extno }}.example/"}, "channels.own.url", "before the path"),
    ("form", {"url": "http://gateway.example/ä"}, "channels.own.url", "%20"),
    ("form", {"url": f"http://me:{SECRET}@gateway.example/"}, "channels.own.url", "own keys"),
    ("form", {"method": "PUT"}, "channels.own.method", '"POST"'),
    ("form", {"method": "GET"}, "channels.own.body", "POST"),
    ("form", {"body": "to={{ mobile }}"}, "channels.own.body", "digits"),
    ("form", {"body": "to={{ to | upper }}"}, "channels.own.body", "without filters"),
    ("form", {"body": "m={{ text }}"}, "channels.own.body", "{{ to }}"),
    ("form", {"body": "to={{ to }}"}, "channels.own.body", "{{ text }}"),
    ("form", {"password": None}, "channels.own.password", "missing"),
    ("form", {"headers": {"Host": "x"}}, "channels.own.headers", "Host"),
    ("form", {"headers": {"X-A: b": "x"}}, "channels.own.headers", "take it out"),
    ("form", {"headers": {"X-A": "x\r\nY: z"}}, "channels.own.headers", "X-A"),
    ("form", {"headers": {"X-A": "{{ text }}"}}, "channels.own.headers", "text"),
    ("form", {"accept": []}, "channels.own.accept", "equals"),
    ("form", {"accept": [{}]}, "channels.own.accept[0]", "every answer"),
    ("form", {"accept": [{"status": 200, "equals": "0"}]}, "channels.own.accept[0].equals", "path or text"),
    ("form", {"accept": [{"path": "a", "text": "b"}]}, "channels.own.accept[0].text", "one of the two"),
    ("form", {"accept": [{"path": "a", "equals": 0}]}, "channels.own.accept[0].equals", "quotes"),
    ("form", {"accept": [{"status": 99}]}, "channels.own.accept[0].status[0]", "200"),
    ("form", {"accept": [{"pth": "a"}]}, "channels.own.accept[0].pth", 'did you mean "path"?'),
    ("form", {"accept": [{"text": "OK [0-9]+"}]}, "channels.own.accept[0].text", "OK [0-9]++"),
    ("form", {"reject": [{"path": "a", "matches": "("}]}, "channels.own.reject[0].matches", "not a regular"),
    ("form", {"reject": [{"path": "a"}]}, "channels.own.reject[0].reason", '"number"'),
    ("form", {"reject": [{"path": "a", "reason": "timeout"}]}, "channels.own.reject[0].reason", '"number"'),
    ("form", {"id": {}}, "channels.own.id", "path and text"),
    ("json", {"body": '{"to": "{{ to }}", "text": {{ text }}}'}, "channels.own.body", "quotes"),
    ("json", {"body": '{"to": "{{ to }}", "text": "{{ text }}", "code": {{ code }}}'}, "channels.own.body", "quotes"),
    ("json", {"body": '{"to": {{ to }}, "text": "{{ text }}"}'}, "channels.own.body", "quotes"),
    ("xml", {"body": "<m to={{ to }}>{{ text }}</m>"}, "channels.own.body", "attributes"),
    ("xml", {"body": "<m><{{ to }}/>{{ text }}</m>"}, "channels.own.body", "elements"),
    ("xml", {"body": "<m to='{{ to }}'><![CDATA[{{ text }}]]></m>"}, "channels.own.body", "CDATA"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "changes", "key", "mend"), FAULTS)
def test_what_can_not_work_stops_the_start_and_names_its_key(
    kind: str, changes: dict[str, Any], key: str, mend: str
) -> None:
    said = refusal(GATEWAYS[kind], **changes)
    assert f"{key}: " in said
    assert mend in said


def test_values_in_the_address_are_a_warning() -> None:
    url = "http://gateway.example/?to={{ to }}&m={{ text }}&k={{ password }}&r={{ reference }}"
    (line,) = warnings(FORM, url=url, method="GET", body=None)
    assert line.startswith("channels.own.url: holds password, text, to, and addresses are logged")
    assert warnings(FORM) == []


@pytest.mark.parametrize(
    "pattern",
    [
     "a+", "a*", ".*?x", "a{2,}", "a{2,9}", "(ab)++", "(?:a|b){3}", "(?=a)", "(?P<n>a)", r"(a)\1", "a" * 201, "",
     "(?i)a",     "a|b|c|d|e|f|g|h", "a?b?c?d?e?f?g?", "[a",
    ],
)  # fmt: skip
def test_a_pattern_that_could_go_back_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError):
        compile_safe(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"\s*+OK:\s*+([0-9a-f-]++)", "  OK: 9-f", "9-f"),
        (r"[]a+*]{1,3}+([^\]]*+)", "]a+zz]", "zz"),
        (r"a{2}(b)?(?:c|d)", "aabd", "b"),
        (r"\+\*\{([0-9]{3,}+)", "+*{12345", "12345"),
        (r"{([a-z]++)}", "{ab}", "ab"),
    ],
)
def test_a_pattern_may_be_an_ordinary_one(pattern: str, text: str, found: str) -> None:
    match = compile_safe(pattern).search(text)
    assert match is not None
    assert match[1] == found


@pytest.mark.parametrize("pattern", ["[^<]*+<x>", r"\s*+[0-9]++\s*+x", "a?a?a?a?[ab]*+c", "(?:a|b|a|b)[a-z]++!"])
def test_a_pattern_ends_on_a_text_made_to_hurt_it(pattern: str) -> None:
    """Squares, not cubes: patterns that go back would take minutes here."""
    for text in ("a" * LONGEST_TEXT, "1" * LONGEST_TEXT, " " * LONGEST_TEXT, "ab" * (LONGEST_TEXT // 2)):
        assert compile_safe(pattern).search(text) is None
