"""The reports of the `sms.aspx` family: what their rows mean, how they are asked for, who may push them."""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from otp_service.channels import SmsAspxChannel, SmsAspxSettings
from otp_service.channels.sms_aspx.forms import sign
from otp_service.ports import ChannelError, Polled, Push, Pushing, PushRefused, Reply, Report
from otp_service.webhook_signature import sign as sign_webhook
from tests.raw_gateway import RawGateway, http_answer, says

NOW = 1_341_154_332.0
STAMP = "20120701225212"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ROW = "<statusbox><mobile>13800138000</mobile><taskid>1212</taskid>{}<extno>01</extno></statusbox>"
DELIVERED = "<status>10</status><receivetime>2011-12-02 22:12:11</receivetime><errorcode>DELIVRD</errorcode>"


def settings(host: str = "gateway.example", **changes: Any) -> SmsAspxSettings:
    keys: dict[str, Any] = {"url": f"http://{host}", "account": "demo", "password": "demo", "deadline": 30}
    return SmsAspxSettings("main", **(keys | changes))


def xml(*rows: str) -> bytes:
    return f'<?xml version="1.0" encoding="utf-8" ?><returnsms>{"".join(rows)}</returnsms>'.encode()


def ask(
    body: bytes,
    what: str = "reports",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **changes: Any,
) -> tuple[Sequence[Any], list[str], str]:
    """Rows, request lines, form."""
    with RawGateway(says(http_answer(status, body, headers))) as gateway:

        async def run() -> Sequence[Any]:
            channel = SmsAspxChannel(settings(gateway.host, **changes), clock=lambda: NOW)
            try:
                rows: Sequence[Any] = await getattr(channel, what)()
                return rows
            finally:
                await channel.aclose()

        rows = asyncio.run(run())
    return rows, gateway.targets(), b"".join(gateway.bodies()).decode()


def test_a_channel_of_the_family_can_be_asked_and_can_be_pushed() -> None:
    channel = SmsAspxChannel(settings())
    assert isinstance(channel, Polled)
    assert isinstance(channel, Pushing)


LOGIN = "userid=&account=demo&password="


@pytest.mark.parametrize(
    ("profile", "paths", "form"),
    [
        ("seed", ("/statusApi.aspx", "/callApi.aspx"), f"action=query&{LOGIN}demo&statusNum=4000"),
        ("classic", ("/statusApi.aspx", "/callApi.aspx"), f"action=query&{LOGIN}demo&statusNum=4000"),
        (
            "v2",
            ("/v2statusApi.aspx", "/v2callApi.aspx"),
            f"action=query&rt=json&userid=&account=demo&timestamp={STAMP}&sign={sign('demo', 'demo', STAMP)}"
            "&statusNum=4000",
        ),
        (
            "huaxin",
            ("/statusJsonApi.aspx", "/callJsonApi.aspx"),
            f"action=query&{LOGIN}{sign('demo').upper()}&statusNum=4000",
        ),
    ],
)
def test_a_query_is_as_its_profile_writes_it(profile: str, paths: tuple[str, str], form: str) -> None:
    for what, path in zip(("reports", "replies"), paths, strict=True):
        rows, targets, body = ask(xml(), what, profile=profile)
        assert (list(rows), targets, body) == ([], [f"POST {path}?action=query"], form)


def test_miaodi_is_never_asked() -> None:
    assert [*map(list, ask(b"", profile="miaodi")[:2])] == [[], []]


def test_a_query_goes_to_the_folder_of_the_address_for_sending() -> None:
    with RawGateway(says(http_answer(200, xml()))) as gateway:

        async def run() -> None:
            channel = SmsAspxChannel(settings(url=f"http://{gateway.host}/a/SMS.aspx?action=send"))
            await channel.reports()
            await channel.aclose()

        asyncio.run(run())
    assert gateway.targets() == ["POST /a/statusApi.aspx?action=query"]


@pytest.mark.parametrize(
    ("said", "delivered"),
    [
        (DELIVERED, True),
        ("<status>20</status><errorcode>MK:1001</errorcode>", False),
        ("<status>20</status><errorcode>DELIVRD</errorcode>", False),
        ("<status>10</status><errorcode>UNDELIV</errorcode>", True),
        ("<status>DELIVRD</status><errorcode></errorcode>", True),
        ("<status>UNDELIV</status>", False),
        ("<errorcode>DELIVRD</errorcode>", True),
        ("<errorcode>REJECTD</errorcode>", False),
        ("<errorcode></errorcode>", None),
        ("<status>3</status><errorcode>DELIVRD</errorcode>", None),
        ("", None),
    ],
)
def test_a_row_s_status_wins_over_its_errorcode(said: str, delivered: bool | None) -> None:
    [report] = ask(xml(ROW.format(said)))[0]
    assert (report.gateway_id, report.to, report.delivered) == ("1212", "+8613800138000", delivered)


@pytest.mark.parametrize(
    ("mobile", "to"),
    [("8613800138000", "+8613800138000"), ("+86 138 0013 8000", "+8613800138000"), ("12345", ""), ("", "")],
)
def test_a_row_s_number_is_a_mainland_mobile_or_none(mobile: str, to: str) -> None:
    [report] = ask(xml(ROW.format(DELIVERED).replace("13800138000", mobile)))[0]
    assert report.to == to


def test_rows_of_json_are_the_same_and_1_is_success_there() -> None:
    row = {"mobile": "13800138000", "taskid": 1212, "status": 10, "errorcode": "DELIVRD"}
    body = json.dumps({"error": "1", "remark": "成功", "statusbox": [row]}).encode()
    assert ask(body, profile="huaxin")[0] == [Report("1212", "+8613800138000", True, "DELIVRD")]
    assert ask(b'{"error":"1","remark":"","statusbox":[]}')[0] == []


@pytest.mark.parametrize("error", ["null", '" 1 "', "1", '"0"'])
def test_an_error_that_is_none_hides_no_rows(error: str) -> None:
    """They are handed out once."""
    row = '{"mobile":"13800138000","taskid":"1212","status":"10","errorcode":"DELIVRD"}'
    body = f'{{"error":{error},"remark":null,"statusbox":[{row}]}}'.encode()
    assert ask(body, profile="huaxin")[0] == [Report("1212", "+8613800138000", True, "DELIVRD")]


def test_a_list_whose_compression_was_cut_gives_the_rows_that_came() -> None:
    squeezed = zlib.compress(xml(*[ROW.format(DELIVERED)] * 50), wbits=zlib.MAX_WBITS + 16)
    assert len(ask(squeezed[:-8], headers={"Content-Encoding": "gzip"})[0]) == 50
    assert ask(squeezed[:-12], headers={"Content-Encoding": "gzip"})[0]


@pytest.mark.parametrize(
    "body",
    [
        "<returnsms><errorstatus><error>1</error><remark>用户名或密码不能为空</remark></errorstatus></returnsms>".encode(),
        '{"error":"1005","remark":"密码错了","statusbox":[]}'.encode(),
        "<returnsms><returnstatus>Faild</returnstatus><message>用户名或密码错误</message></returnsms>".encode(),
        b"<html><body>cookie ok</body></html>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><returnsms/>',
        b"",
        b"busy",
        b'{"ok":true}',
        b"[1]",
    ],
)
def test_a_refusal_or_what_is_no_list_is_an_error_with_the_gateway_s_words(body: bytes) -> None:
    with pytest.raises(ChannelError):
        ask(body)
    with pytest.raises(ChannelError):
        ask(xml(), status=500)


def test_four_thousand_rows_come_whole() -> None:
    """256 KiB and more: beyond the cap of an answer to a send."""
    rows = [ROW.format(DELIVERED).replace("1212", str(10_000 + n)) for n in range(4000)]
    assert len(ask(xml(*rows))[0]) == 4000


@pytest.mark.parametrize("cut", [1, 40])
def test_of_a_damaged_list_the_whole_rows_are_taken(cut: int) -> None:
    """They are not handed out again."""
    assert len(ask(xml(ROW.format(DELIVERED), ROW.format(DELIVERED))[:-cut])[0]) in (1, 2)
    row = json.dumps({"mobile": "13800138000", "taskid": "1", "status": "10"})
    assert len(ask(f'{{"error":"1","statusbox":[{row},{row}'.encode()[:-cut])[0]) == 1


@pytest.mark.parametrize(
    "status", ["<status><![CDATA[20]]></status>", "<status type='x'>20</status>", "<Status>&#50;0</Status>"]
)
@pytest.mark.parametrize(
    "change", [lambda whole: whole[:-30], lambda whole: whole.replace(b"01</extno>", b"A&B</extno>")]
)
def test_a_damaged_list_says_of_a_row_what_the_whole_one_says(status: str, change: Callable[[bytes], bytes]) -> None:
    whole = xml(ROW.format(status + "<errorcode>DELIVRD</errorcode>"), ROW.format(DELIVERED))
    assert ask(whole)[0][0] == Report("1212", "+8613800138000", False, "DELIVRD")
    assert ask(change(whole))[0][0] == Report("1212", "+8613800138000", False, "DELIVRD")


def test_a_list_may_have_a_namespace_and_its_ids_braces() -> None:
    row = ROW.format(DELIVERED)
    whole = xml(row.replace("1212", "{1212},")).replace(b"<returnsms>", b"<returnsms xmlns='urn:x'>")
    assert ask(whole)[0] == [Report("1212", "+8613800138000", True, "DELIVRD")]
    assert ask(xml(row).replace(b"<", b"<s:").replace(b"<s:/", b"</s:").replace(b"<s:?", b"<?"))[0] == [
        Report("1212", "+8613800138000", True, "DELIVRD")
    ]


def test_a_row_whose_status_cannot_be_read_is_left_out() -> None:
    body = xml(ROW.format(DELIVERED), ROW.format("<status>20<errorcode>DELIVRD</errorcode>").replace("1212", "1213"))
    assert [row.gateway_id for row in ask(body)[0]] == ["1212"]


def test_a_refusal_with_a_bare_ampersand_is_a_refusal() -> None:
    with pytest.raises(ChannelError, match="A&B"):
        ask(b"<returnsms><errorstatus><error>1</error><remark>A&B</remark></errorstatus></returnsms>")


@pytest.mark.parametrize("content", ["<![CDATA[退订]]>", "&#36864;&#35746;", "&#x9000;订", "退<!-- -->订"])
@pytest.mark.parametrize("cut", [0, 1, 20])
def test_a_reply_reads_the_same_in_a_cut_list(content: str, cut: int) -> None:
    """An opt-out that is lost goes on being written to."""
    fields = f"<mobile>13800138000</mobile><taskid>7</taskid><content>{content}</content><extno>01</extno>"
    body = xml(*[f"<callbox>{fields}</callbox>"] * 2)
    assert ask(body[: len(body) - cut], "replies")[0][0] == Reply("+8613800138000", "退订", "7", "01")


def test_a_reply_tells_who_and_what_and_to_which_port_number() -> None:
    box = "<callbox><mobile>13800138000</mobile><taskid>7</taskid><content>退订</content><extno>01</extno></callbox>"
    assert ask(xml(box), "replies")[0] == [Reply("+8613800138000", "退订", "7", "01")]
    gbk = xml(box).decode().replace("utf-8", "gb2312").encode("gbk")
    assert ask(gbk, "replies", encoding="gbk")[0] == [Reply("+8613800138000", "退订", "7", "01")]


# --- pushes -----------------------------------------------------------------------------------------------------------

BODY = xml(ROW.format(DELIVERED))


def push(headers: dict[str, str], body: bytes = BODY, secret: str = SECRET) -> Sequence[Report]:
    channel = SmsAspxChannel(settings(report_secret=secret))
    return channel.read_push(Push("http://here/reports/main", headers, body), NOW)


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


SIGNED = sign_webhook([SECRET], "m1", int(NOW), BODY)


@pytest.mark.parametrize("headers", [SIGNED, basic(f"gateway:{SECRET}"), {"authorization": f"Bearer {SECRET}"}])
def test_who_knows_the_secret_may_push(headers: dict[str, str]) -> None:
    assert push(headers) == [Report("1212", "+8613800138000", True, "DELIVRD")]
    signed = "webhook-signature" in headers
    body = b'{"statusbox":[{"mobile":"13800138000","taskid":"1212","status":"20"}],"error":"1"}'
    headers = sign_webhook([SECRET], "m1", int(NOW), body) if signed else headers
    assert push(headers, body) == [Report("1212", "+8613800138000", False)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": SECRET},
        {"authorization": f"Digest {SECRET}"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer é"},
        {"authorization": "Basic !!!"},
        basic("gateway:" + SECRET[:-1]),
        {"webhook-signature": "v1,AAAA", "authorization": f"Bearer {SECRET}"},
        SIGNED | {"webhook-id": "m2"},
        sign_webhook([SECRET], "m1", int(NOW) - 301, BODY),
        sign_webhook([SECRET], "m1", int(NOW) + 301, BODY),
        sign_webhook(["whsec_" + base64.b64encode(bytes(32)).decode()], "m1", int(NOW), BODY),
    ],
)
def test_t57_what_is_forged_unsigned_or_stale_is_refused(headers: dict[str, str]) -> None:
    """T57."""
    with pytest.raises(PushRefused) as refused:
        push(headers)
    assert SECRET not in str(refused.value)


def test_t57_an_altered_body_is_refused_and_without_a_secret_everything_is() -> None:
    """T57."""
    with pytest.raises(PushRefused):
        push(SIGNED, BODY.replace(b"1212", b"1213"))
    with pytest.raises(PushRefused, match="report_secret"):
        push(SIGNED, secret="")
    with pytest.raises(PushRefused, match="whsec"):
        push(SIGNED, secret="a plain long secret")


@pytest.mark.parametrize("body", [b"", b"ok", b"<html/>", b"[]", b"<!DOCTYPE a><returnsms/>"])
def test_a_genuine_push_that_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(PushRefused):
        push(sign_webhook([SECRET], "m1", int(NOW), body), body)
