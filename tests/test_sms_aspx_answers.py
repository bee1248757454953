"""What a gateway says becomes the right outcome, and nothing that it can say becomes a success without evidence."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from otp_service.channels.sms_aspx import SmsAspxChannel, SmsAspxSettings, judge, read_answer
from otp_service.channels.sms_aspx.markup import plain
from otp_service.ports import Message, Outcome, Reason
from tests.raw_gateway import RawGateway, http_answer, says

MOBILE = "13800138000"
VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "data" / "answers.json").read_text())
BLANKS = "1 MiB of blanks, then the body of 'classic success'"


def body_of(vector: dict[str, Any]) -> bytes:
    if vector["body_base64"] is not None:
        return base64.b64decode(vector["body_base64"])
    assert vector["body_recipe"] == BLANKS
    return b" " * 2**20 + body_of(next(v for v in VECTORS if v["name"] == "classic success"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_recorded_answer_gets_its_outcome_over_real_http(vector: dict[str, Any]) -> None:
    answer = http_answer(vector["http_status"], body_of(vector), vector["headers"])
    with RawGateway(says(answer)) as gateway:
        settings = SmsAspxSettings("main", f"http://{gateway.host}", profile=vector["profile"], deadline=30)

        async def deliver() -> Any:
            channel = SmsAspxChannel(settings)
            result = await channel.deliver(Message(f"+86{vector['mobile']}", "【今信科技】您的验证码是345678"))
            await channel.aclose()
            return result

        result = asyncio.run(deliver())
    assert result.outcome == vector["outcome"]
    assert vector["reason"] in (None, result.reason)


def xml(**leaves: str) -> bytes:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in leaves.items())
    return f"<returnsms>{inner}</returnsms>".encode()


def as_json(**members: Any) -> bytes:
    return json.dumps(members, ensure_ascii=False).encode()


ACCEPTED = [
    xml(ReturnStatus="SUCCESS", TASKID="93390617", SuccessCounts="1 "),
    xml(returnstatus="success", successCounts="1.0"),
    xml(returnstatus="<![CDATA[Success]]>", taskID="1"),
    xml(returnstatus="Success", message="成功，余额：25", successCounts="1", taskID="93390617"),
    xml(returnstatus="Success"),
    b"<r:returnsms xmlns:r='urn:x'><r:returnstatus>Success</r:returnstatus></r:returnsms>",
    b"<returnsms><returnstatus>Success;/returnstatus;<message>ok</message><taskID>93390617</taskID></returnsms>",
    b"<returnsms><returnstatus>Success</returnstatus><message>AT&T</message><successCounts>1</successCounts>",
    b"<returnsms><returnstatus>Success</returnstatus><taskID>93390617</taskID></returnsms> served by x",
    b"<returnsms><returnsms>00000 </returnsms><message/></returnsms>",
    as_json(respCode=0, failCount=0),
    as_json(result={"respCode": "00000", "failList": []}),
    as_json(result='{"respCode": "00000"}'),
    as_json(result="<returnsms><returnstatus>Success</returnstatus></returnsms>"),
    as_json(returnstatus="succeed", successCounts=1, failList=None),
]
UNKNOWN = [
    b"",
    b"\0\0\r\n",
    b"Success",
    b"[]",
    as_json(result="Success"),
    as_json(returnstatus="ok", successCounts="1", taskID="93390617"),
    as_json(returnstatus=True, successCounts=1),
    as_json(returnstatus="Success", successCounts="successCounts"),
    as_json(returnstatus="Success", successCounts="-1"),
    as_json(returnstatus="Success", message="用户名或密码错误"),
    as_json(returnstatus="Success", failList=["13800138000"]),
    as_json(returnstatus="Success", failList=[{"phone": "13900139000", "respCode": "00111"}]),
    as_json(respCode="00000", failList="13900139000:00111"),
    as_json(respCode="00000", failCount="failCount"),
    as_json(respCode="00000", successCounts="0"),
    as_json(respCode="0"),
    as_json(respCode=0.0),
    as_json(respCode=False),
    as_json(respCode="00000", returnstatus="Faild"),
    as_json(respCode="00111", returnstatus="Success"),
    as_json(error="1", remark="成功"),
    as_json(message="操作成功", taskID="93390617"),
    as_json(a={"returnstatus": "Success"}),
    [{"returnstatus": "Success"}].__repr__().encode(),
    b'{"returnstatus": "Faild", "ReturnStatus": "Success"}',
    b'{"returnstatus": "Success"}{"returnstatus": "Success"}',
    b'{"respCode": ' + b"9" * 5000 + b"}",
    b'{"a":' * 10_000,
    b"[" * 60_000,
    b"<a>" * 20_000,
    b"<a>" * 9_000 + b"</a>" * 9_000,
    "<returnsms><returnstatus>Success</returnstatus></returnsms>".encode("utf-16"),
    "<returnsms><returnstatus>Success</returnstatus></returnsms>".encode("utf-16-le"),
    xml(returnstatus="Success", taskID="1") + xml(returnstatus="Faild", taskID="1"),
    xml(returnstatus="&lt;b&gt;Success", taskID="1"),
    b"<returnsms><returnstatus>Success</returnstatus><returnstatus>Faild</returnstatus></returnsms>",
    b"<returnsms><returnstatus>Success</returnstatus><taskID>9339",
    b"<returnsms><returnstatus>Success",
    b"<HTML><returnsms><returnstatus>Success</returnstatus><taskID>1</taskID></returnsms></HTML>",
    b"<p><html><returnstatus>Success</returnstatus><taskID>1</taskID>",
    b"<!ENTITY a 'b'><returnsms><returnstatus>Success</returnstatus></returnsms>",
    b"<returnsms><returnstatus>Success</returnstatus><failList><item>13800138000</item></failList></returnsms>",
    xml(returnstatus="Faild", taskID="93390617", message="用户名或密码错误"),
    xml(returnstatus="Faild", successCounts="1"),
    *(xml(returnstatus="Faild", message="密码错", successCounts=count) for count in ("1条", "1/1", "+1", "１", "1e0")),
    xml(returnstatus="Faild", message="系统繁忙", taskID="<id>93390617</id>"),
    as_json(returnstatus="Faild", message="系统繁忙", taskID={"id": "93390617"}),
    as_json(returnstatus="Faild", message="密码错", successCounts=[1]),
    as_json(respCode="00105", failList=[{"phone": MOBILE, "respCode": "00000"}]),
    as_json(respCode="00005", failList=[{"phone": MOBILE, "respCode": "0000"}]),
    xml(returnstatus="Faild", message="密码错", taskID=f"<phone>{MOBILE}</phone><returnsms>00000 </returnsms>"),
    b'{"returnstatus": "Success", "successCounts": NaN}',
]


@pytest.mark.parametrize("body", ACCEPTED, ids=lambda body: body[:60].decode("latin-1"))
def test_a_success_in_an_odd_dress_is_accepted(body: bytes) -> None:
    assert read_answer(200, body, MOBILE).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("body", UNKNOWN, ids=lambda body: body[:60].decode("latin-1"))
def test_what_is_no_clear_success_and_no_clear_failure_is_unknown(body: bytes) -> None:
    """T58, T59."""
    assert read_answer(200, body, MOBILE).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("body", "outcome", "reason"),
    [
        (
            as_json(returnstatus="Success", failList=[{"phone": "+86 138-0013-8000 ", "respCode": "00111 "}]),
            "rejected",
            "number",
        ),
        (as_json(respCode="00000", failList={"phone": MOBILE, "reason": "黑名单"}), "rejected", "number"),
        (as_json(respCode="00142"), "rejected", "rate"),
        (as_json(respCode="00023"), "rejected", "balance"),
        (as_json(respCode="00023 "), "rejected", "balance"),
        (as_json(respCode=100), "rejected", "content"),
        (as_json(respCode="99999"), "rejected", "config"),
        (as_json(error="1005", remark="密码错了"), "rejected", "account"),
        (
            b"<returnsms><errorstatus><error>1</error><remark>x</remark></errorstatus></returnsms>",
            "rejected",
            "account",
        ),
        (xml(returnstatus="Failure", message="发送频率过快"), "retryable", "rate"),
        (xml(returnstatus="error", message="号码格式错误", taskID="-1"), "rejected", "number"),
        (xml(returnstatus="Fail", message="包含非法字符：您的余额不足，号码错误"), "rejected", "content"),
        (xml(returnstatus="Faild", message="IP未授权"), "rejected", "account"),
    ],
)
def test_a_clear_failure_keeps_its_reason(body: bytes, outcome: str, reason: str) -> None:
    result = read_answer(200, body, MOBILE)
    assert (result.outcome, result.reason) == (outcome, reason)


FAILED = "<returnsms><returnstatus>Faild</returnstatus><message>{}</message><remainpoint>0</remainpoint></returnsms>"


@pytest.mark.parametrize("words", ["其他错误", "系统繁忙", "号码格式错误", "用户名或密码错误", "sign参数错误", "别的"])
def test_a_failure_is_believed_only_when_its_end_has_come(words: str) -> None:
    """What is missing may hold a taskID: a second SMS by the same channel would be ours."""
    whole = FAILED.format(words)
    for length in range(whole.index("<message>"), len(whole) - 1):
        verdict = judge(200, whole[:length].encode(), MOBILE)
        assert (verdict.result.outcome, verdict.stale) == (Outcome.UNKNOWN, False), whole[:length]
    assert read_answer(200, as_json(result=whole[:-9]), MOBILE).outcome is Outcome.UNKNOWN
    ill_formed = FAILED.format(words + " & <3 &nbsp;").replace("</message>", ";/message;")
    assert judge(200, ill_formed.encode(), MOBILE).result.outcome is judge(200, whole.encode(), MOBILE).result.outcome


def test_a_cut_answer_that_repeats_the_root_s_name_inside_is_no_whole_one() -> None:
    body = b"<returnsms><returnsms>00111 </returnsms><message>x</message><remai"
    assert read_answer(200, body, MOBILE).outcome is Outcome.UNKNOWN
    assert read_answer(200, body[:-6] + b"</returnsms>", MOBILE).reason is Reason.NUMBER


def test_a_cut_refusal_of_our_number_is_no_refusal_yet() -> None:
    body = xml(returnstatus="Success", taskID=f"<phone>{MOBILE}</phone><returnsms>00111</returnsms>") + b" & "
    assert read_answer(200, body, MOBILE).reason is Reason.NUMBER
    assert read_answer(200, body.replace(b"</returnsms> & ", b" & <x"), MOBILE).outcome is Outcome.UNKNOWN


def damaged(**leaves: str) -> bytes:
    """Whole, and no parser takes it: a bare ampersand, and a tag that nothing ends."""
    return xml(message="其他错误 & x", **leaves).replace(b"</returnsms>", b"<br></returnsms>")


@pytest.mark.parametrize(
    "leaves",
    [
        {"returnstatus": "Success", "successCounts": "<![CDATA[0]]>"},
        {"returnstatus": "Success", "successCounts": "<!-- n -->0"},
        {"returnstatus": "Success", "successCounts": "&#48;"},
        {"returnstatus": "Success", "taskID": "1234567", "failList": "<item>13800138000</item>"},
        {"returnstatus": "Faild", "taskID": "0", "successCounts": "<![CDATA[1]]>"},
        {"returnstatus": "Faild", "taskID": "0", "x:successCounts a='>'": "1"},
        {"returnstatus": "Faild", "taskID": "<![CDATA[130850]]>"},
        {"returnstatus": "Faild", "taskID": "&#49;30850"},
        {"returnstatus": "Faild", "taskID": "13<?x?>0850"},
    ],
)
def test_damage_hides_no_evidence_against_what_an_answer_says(leaves: dict[str, str]) -> None:
    body = damaged(**leaves)
    for name in leaves:
        body = body.replace(f"</{name}>".encode(), f"</{name.split(' ')[0]}>".encode())
    assert read_answer(200, body, MOBILE).outcome is Outcome.UNKNOWN
    assert read_answer(200, body.replace(b"<br>", b""), MOBILE).outcome is Outcome.UNKNOWN


REAL_IDS = ["abcdefabcdef", "130850,", "{2e1c571f-6c13-4784-a008-1c4bf6768703}", "130850 ok", "id:130850"]


@pytest.mark.parametrize("given_id", REAL_IDS)
def test_an_id_in_an_odd_dress_is_evidence_that_something_was_taken(given_id: str) -> None:
    for failure in (
        {"returnstatus": "Faild", "message": "其他错误"},
        {"respCode": "00008"},
        {"respCode": "00005"},
        {"error": "1005", "remark": "系统繁忙"},
    ):
        verdict = judge(200, as_json(taskID=given_id, **failure), MOBILE)
        assert (verdict.result.outcome, verdict.stale) == (Outcome.UNKNOWN, False)
    assert read_answer(200, as_json(returnstatus="Faild", message="系统繁忙", taskID="taskID"), MOBILE).outcome is (
        Outcome.RETRYABLE
    )


OURS_IN_A_LIST = [
    as_json(
        respCode="00000",
        failList=json.dumps([{"phone": "13900139000", "respCode": "00105"}, {"phone": MOBILE, "respCode": "00111"}]),
    ),
    as_json(respCode="00000", failList=f"13900139000:00023,{MOBILE}:00111"),
    as_json(respCode="00000", failList=f"+86{MOBILE} 00111; 13900139000 00023"),
    as_json(respCode="00000", failList=f"{MOBILE}：号码格式错误"),
    as_json(respCode="00000", failList=[{"phone": f"0{MOBILE}", "respCode": "00111"}]),
    as_json(respCode="00000", failList=[{"phone": f"086{MOBILE}", "respCode": "00111"}]),
    as_json(respCode="00000", failList=[{"phone": f"13900139000,{MOBILE}", "respCode": "00111"}]),
    b'{"respCode":"00000","failList":{"phone":"13900139000","respCode":"00023","phone":"13800138000","respCode":"00111"}}',
    xml(
        returnstatus="Success",
        taskID=f"<phone>13900139000</phone><returnsms>00023</returnsms><phone>{MOBILE}</phone><returnsms>00111</returnsms>",
    ),
    xml(
        returnstatus="Success",
        taskID=f"<returnsms>00023</returnsms><phone>13900139000</phone><returnsms>00111</returnsms><phone>{MOBILE}</phone>",
    ),
    xml(returnstatus="Success", failList=f"13900139000:00023,{MOBILE}:00111"),
]


@pytest.mark.parametrize("body", OURS_IN_A_LIST, ids=lambda body: body[-60:].decode("latin-1"))
def test_our_number_is_found_in_every_form_of_a_list(body: bytes) -> None:
    assert read_answer(200, body, MOBILE).reason is Reason.NUMBER
    assert read_answer(200, body, "13700137000").outcome is Outcome.UNKNOWN


NOTHING_OF_OURS = [
    as_json(respCode="00000", failCount="1", failList=[{"phone": MOBILE}]),
    as_json(respCode="00000", failCount="0", failList=[{"phone": MOBILE, "respCode": ""}]),
    as_json(respCode="00000", smsId="2e1c571f6c134784a0081c4bf6768703", failList=[{"phone": MOBILE, "respCode": None}]),
    xml(returnsms="00000", taskID=f"<phone>{MOBILE}</phone><returnsms> </returnsms>"),
    xml(returnstatus="Success", successCounts="1", failList=f"<item><phone>{MOBILE}</phone></item>"),
]


@pytest.mark.parametrize("body", NOTHING_OF_OURS, ids=lambda body: body[-60:].decode("latin-1"))
def test_a_row_that_names_our_number_and_says_nothing_of_it_is_no_refusal_and_no_success(body: bytes) -> None:
    assert read_answer(200, body, MOBILE).outcome is Outcome.UNKNOWN


def test_a_row_without_a_word_leaves_a_refusal_of_the_whole_request_as_it_is() -> None:
    body = as_json(respCode="00023", failList=[{"phone": MOBILE, "respCode": ""}])
    assert read_answer(200, body, MOBILE).reason is Reason.BALANCE


@pytest.mark.parametrize("code", ["00005", "00015", "sign参数错误"])
def test_a_number_refused_within_an_accepted_request_calls_for_no_second_one(code: str) -> None:
    body = as_json(
        respCode="00000", smsId="2e1c571f6c134784a0081c4bf6768703", failList=[{"phone": MOBILE, "respCode": code}]
    )
    verdict = judge(200, body, MOBILE)
    assert (verdict.result.outcome, verdict.stale) == (Outcome.REJECTED, False)


@pytest.mark.parametrize(
    ("error", "reason"), [("1", Reason.ACCOUNT), ("2", Reason.ACCOUNT), ("3", Reason.ACCOUNT), ("4", Reason.CONFIG)]
)
def test_the_numbers_of_the_xml_error_speak_without_words(error: str, reason: Reason) -> None:
    body = f"<returnsms><errorstatus><error>{error}</error><remark></remark></errorstatus></returnsms>"
    assert read_answer(200, body.encode(), MOBILE).reason is reason
    assert read_answer(200, as_json(error=error, remark=""), MOBILE).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("front", ["\u3000", "\u00a0", "\ufeff", "\ufeff\r\n\u3000"])
@pytest.mark.parametrize("charset", ["utf-8", "gb18030"])
def test_blanks_of_every_width_in_front_of_an_answer_are_nothing(front: str, charset: str) -> None:
    for text in (
        "<returnsms><returnstatus>Success</returnstatus><message>操作成功</message></returnsms>",
        '{"respCode":"00000","respDesc":"请求成功"}',
    ):
        assert read_answer(200, f"{front}{text}{front}".encode(charset), MOBILE).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("用戶名或密碼錯誤", Reason.ACCOUNT),
        ("用戶名或密碼不能為空", Reason.ACCOUNT),
        ("賬號已過期", Reason.ACCOUNT),
        ("帳戶已停用", Reason.ACCOUNT),
        ("IP未授權", Reason.ACCOUNT),
        ("發送的量大於您當前餘額", Reason.BALANCE),
        ("餘額不足", Reason.BALANCE),
        ("號碼格式錯誤", Reason.NUMBER),
        ("黑名單", Reason.NUMBER),
        ("包含非法字詞", Reason.CONTENT),
        ("敏感詞", Reason.CONTENT),
        ("需要簽名", Reason.CONTENT),
        ("擴展子號只能是數字", Reason.CONFIG),
        ("sign參數錯誤", Reason.CONFIG),
        ("發送頻率過快", Reason.RATE),
        ("其他錯誤", None),
        ("不在發送時間段", None),
    ],
)
def test_a_traditional_message_means_what_the_simplified_one_means(message: str, reason: Reason | None) -> None:
    result = read_answer(200, xml(returnstatus="Faild", message=message), MOBILE)
    assert (result.reason, result.unmapped) == (reason, False)


def test_what_a_comment_hides_is_not_said() -> None:
    hidden = b"<!-- <returnstatus>Success</returnstatus><taskID>1234567</taskID> -->"
    for body in (b"<returnsms>" + hidden + b"<message>x;/message;", b"<returnsms>" + hidden + b" & </returnsms>"):
        assert read_answer(200, body, MOBILE).outcome is Outcome.UNKNOWN


def test_a_message_in_cdata_quotes_a_tag_and_is_not_one() -> None:
    body = damaged(returnstatus="Faild").replace("其他错误 & x".encode(), "<![CDATA[号码<html>错误]]> & x".encode())
    assert read_answer(200, body, MOBILE).reason is Reason.NUMBER


@pytest.mark.parametrize("piece", ["<!--", "<![CDATA[", "<?", "<a ", '<a "', "&#", ";/a;", "<taskID>", "</", "<a '\">"])
def test_an_answer_made_of_beginnings_is_read_in_a_moment(piece: str) -> None:
    """One that took quadratic time would hold this for minutes."""
    assert "<!" not in plain(piece * (2**17 // len(piece)))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *[(status, "rejected") for status in (400, 401, 403, 404, 405, 413, 415)],
        *[(status, "retryable") for status in (408, 429, 503)],
        *[(status, "unknown") for status in (100, 301, 302, 304, 307, 410, 418, 500, 502, 504, 999)],
    ],
)
def test_an_http_status_other_than_2xx_speaks_for_itself(status: int, outcome: str) -> None:
    assert read_answer(status, xml(returnstatus="Success", taskID="1"), MOBILE).outcome == outcome


def test_a_wait_that_the_gateway_asks_for_is_kept() -> None:
    assert read_answer(429, b"", MOBILE, retry_after=7).retry_after == 7
    assert read_answer(404, b"", MOBILE, retry_after=7).retry_after is None
    assert read_answer(200, as_json(respCode="00174"), MOBILE).retry_after == 60
    assert read_answer(200, as_json(respCode="00141"), MOBILE).retry_after == 3600


@pytest.mark.parametrize(
    "body", [as_json(respCode="00005"), as_json(respCode="00015"), xml(returnstatus="Faild", message="sign参数错误")]
)
def test_a_refused_timestamp_is_told_apart(body: bytes) -> None:
    verdict = judge(200, body, MOBILE)
    assert verdict.stale
    assert verdict.result.reason is Reason.CONFIG


def test_an_unknown_failure_is_counted_as_unmapped() -> None:
    assert read_answer(200, xml(returnstatus="Faild", message="别的"), MOBILE).unmapped
    assert not read_answer(200, xml(returnstatus="Faild", message="系统繁忙"), MOBILE).unmapped


@pytest.mark.parametrize("given_id", ["0", "", "taskID", "-1", "00000000-0000-0000-0000-000000000000", MOBILE])
def test_a_placeholder_or_our_number_is_no_gateway_id(given_id: str) -> None:
    assert read_answer(200, xml(returnstatus="Success", successCounts="1", taskID=given_id), MOBILE).gateway_id == ""


@pytest.mark.parametrize(
    "given_id", ["93390617", "2012084130105446", "2e1c571f6c134784a0081c4bf6768703", "abcdefabcdef"]
)
def test_a_gateway_id_is_kept_as_it_was_spelt(given_id: str) -> None:
    assert read_answer(200, as_json(respCode="00000", smsId=given_id), MOBILE).gateway_id == given_id
    assert read_answer(200, as_json(respCode="00000", smsId=f"{{{given_id}}},"), MOBILE).gateway_id == given_id


def test_the_gateways_words_come_without_number_code_secret_or_control_character() -> None:
    words = "非法字符:\u202e\x1b[31m 138-0013-8000 您的验证码3 4 5678 ３４５６７８\n密码hunter22" + "长" * 300
    detail = read_answer(200, as_json(returnstatus="Faild", message=words), MOBILE, hide=("hunter22", "")).detail
    assert detail.startswith("非法字符: [31m **** 您的验证码**** 密码****长")
    assert len(detail) == 200


def test_a_message_made_to_hurt_the_patterns_is_looked_at_only_in_part() -> None:
    hostile = xml(returnstatus="Faild", message="密码" * 10_000)
    assert read_answer(200, hostile, MOBILE).unmapped


EVIDENCE = re.compile(
    r"(returnstatus|returnsms)\W*(success|sucess|succeed)\b|(respcode|returnsms)\W*0+\b", re.IGNORECASE
)


@hypothesis_settings(deadline=None)
@given(st.integers(0, 999), st.binary(max_size=300))
def test_no_bytes_make_the_reader_raise(status: int, body: bytes) -> None:
    assert read_answer(status, body, MOBILE).outcome is not Outcome.ACCEPTED


@hypothesis_settings(deadline=None)
@given(
    st.sampled_from([body_of(v) for v in VECTORS if v["body_base64"]]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 40), st.binary(max_size=6)), min_size=1, max_size=4),
)
def test_a_mutated_answer_is_never_accepted_without_evidence(body: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    """T59."""
    for start, length, put in cuts:
        body = body[:start] + put + body[start + length :]
    if read_answer(200, body, MOBILE).outcome is Outcome.ACCEPTED:
        assert EVIDENCE.search(re.sub(r"<!\[CDATA\[", "", body.decode("gb18030", "replace")))


LEAVES = {
    "returnstatus": ["Success", "Faild"],
    "message": ["ok", "其他错误", "号码格式错误", "sign参数错误"],
    "taskID": ["0", "", "130850", "{2e1c571f-6c13-4784-a008-1c4bf6768703}"],
    "successCounts": ["0", "1", ""],
}
DRESSES: list[Callable[[str], str]] = [
    lambda value: value,
    lambda value: f"<![CDATA[{value}]]>",
    lambda value: "".join(f"&#{ord(char)};" for char in value),
    lambda value: f"<!-- <successCounts>1</successCounts> -->{value}",
]
TAGS = ["<{0}>{1}</{0}>", "<{0} a='x'>{1}</{0}>", "<x:{0}>{1}</x:{0}>", "<{0}>{1};/{0};", "<{0}>{1}</{0} "]


@hypothesis_settings(deadline=None)
@given(st.data())
def test_no_dress_and_no_damage_turns_an_outcome_into_another_than_unknown(data: st.DataObject) -> None:
    given = {name: data.draw(st.sampled_from(values)) for name, values in LEAVES.items()}
    tags = [
        data.draw(st.sampled_from(TAGS)).format(name, data.draw(st.sampled_from(DRESSES))(value))
        for name, value in given.items()
    ]
    odd = f"<returnsms>{''.join(tags)}{data.draw(st.sampled_from(['', '&', '<br>', '<3']))}</returnsms>"
    plainly, oddly = judge(200, xml(**given), MOBILE), judge(200, odd.encode(), MOBILE)
    assert oddly.result.outcome in (plainly.result.outcome, Outcome.UNKNOWN)
    assert oddly.stale <= plainly.stale
    cut = odd[: data.draw(st.integers(12, len(odd) - len("</returnsms>")))]
    assert read_answer(200, cut.encode(), MOBILE).outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)
