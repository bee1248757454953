"""What leaves for a gateway, byte by byte, and what never does."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
from typing import Any

import pytest

from otp_service.channels import SmsAspxChannel, SmsAspxSettings
from otp_service.channels.sms_aspx.forms import sign
from otp_service.errors import ConfigError
from otp_service.ports import Balance, ChannelError, Message, Outcome, Reason, TryResult
from tests.raw_gateway import Play, RawGateway, http_answer, resets, says

TEXT = "【今信科技】您的验证码是345678, ok\\|"
MESSAGE = Message("+8613800138000", TEXT)
NOON = 1341154332.0  # 2012-07-01 14:52:12 UTC is 22:52:12 in China
STAMP = "20120701225212"
SUCCESS = http_answer(body=b'{"returnstatus":"Success","taskID":"93390617","successCounts":"1"}')
SECRET = "pa55word-of-ours"


def settings(gateway: RawGateway, **changes: Any) -> SmsAspxSettings:
    keys: dict[str, Any] = {"userid": "12", "account": "demo", "password": SECRET, "extno": "7", "deadline": 30}
    return SmsAspxSettings("main", **({"url": f"http://{gateway.host}"} | keys | changes))


def deliver(chosen: SmsAspxSettings, message: Message = MESSAGE) -> TryResult:
    async def run() -> TryResult:
        channel = SmsAspxChannel(chosen, clock=lambda: NOON)
        result = await channel.deliver(message)
        await channel.aclose()
        return result

    return asyncio.run(run())


def balance(chosen: SmsAspxSettings) -> Balance:
    async def run() -> Balance:
        channel = SmsAspxChannel(chosen, clock=lambda: NOON)
        try:
            return await channel.balance()
        finally:
            await channel.aclose()

    return asyncio.run(run())


UTF8 = (
    "%E3%80%90%E4%BB%8A%E4%BF%A1%E7%A7%91%E6%8A%80%E3%80%91"
    + "%E6%82%A8%E7%9A%84%E9%AA%8C%E8%AF%81%E7%A0%81%E6%98%AF345678%2C+ok%5C%7C"
)
GBK = "%A1%BE%BD%F1%D0%C5%BF%C6%BC%BC%A1%BF%C4%FA%B5%C4%D1%E9%D6%A4%C2%EB%CA%C7345678%2C+ok%5C%7C"
LOGIN = f"action=send&userid=12&account=demo&password={SECRET}&mobile=13800138000"
SIGNED = f"action=send&rt=json&userid=12&account=demo&timestamp={STAMP}&sign={sign('demo', SECRET, STAMP)}"
HASHED = f"action=send&userid=12&account=demo&password={sign(SECRET).upper()}&mobile=13800138000"


@pytest.mark.parametrize(
    ("profile", "encoding", "target", "body"),
    [
        ("seed", "utf-8", "/sms.aspx?action=send", f"{LOGIN}&content={UTF8}&sendTime={STAMP}&extno=7"),
        ("seed", "gbk", "/smsGBK.aspx?action=send", f"{LOGIN}&content={GBK}&sendTime={STAMP}&extno=7"),
        ("classic", "utf-8", "/sms.aspx?action=send", f"{LOGIN}&content={UTF8}&sendTime=&extno=7"),
        ("classic", "gbk", "/smsGBK.aspx?action=send", f"{LOGIN}&content={GBK}&sendTime=&extno=7"),
        ("v2", "utf-8", "/v2sms.aspx?action=send", f"{SIGNED}&mobile=13800138000&content={UTF8}&sendTime=&extno=7"),
        ("v2", "gbk", "/v2smsGBK.aspx?action=send", f"{SIGNED}&mobile=13800138000&content={GBK}&sendTime=&extno=7"),
        ("huaxin", "utf-8", "/smsJson.aspx?action=send", f"{HASHED}&content={UTF8}&sendTime=&extno=7"),
        (
            "miaodi",
            "utf-8",
            "/20150822/industrySMS/sendSMS",
            f"accountSid=demo&smsContent={UTF8}&to=13800138000&timestamp={STAMP}"
            f"&sig={sign('demo', SECRET, STAMP)}&respDataType=JSON",
        ),
    ],
)
def test_a_request_is_as_its_profile_writes_it(profile: str, encoding: str, target: str, body: str) -> None:
    with RawGateway(says(SUCCESS)) as gateway:
        result = deliver(settings(gateway, profile=profile, encoding=encoding))
    assert result == TryResult(Outcome.ACCEPTED, gateway_id="93390617")
    assert gateway.targets() == [f"POST {target}"]
    assert gateway.bodies() == [body.encode()]
    declared = f"content-type: application/x-www-form-urlencoded; charset={encoding}\r\n"
    assert declared.encode() in gateway.requests[0].replace(b"Content-Type", b"content-type")


def test_the_signatures_are_those_of_the_documents() -> None:
    assert sign("test", "mima", "20120701231212") == "5cc68982f55ac74348e3d819f868fbe1"
    assert sign("abc123").upper() == "E99A18C428CB38D5F260853678922E03"


@pytest.mark.parametrize(
    ("path", "target"), [("", "/sms.aspx"), ("/", "/sms.aspx"), ("/a/SMS.aspx?action=send", "/a/SMS.aspx")]
)
def test_a_host_alone_gets_the_profiles_path_and_a_path_is_kept(path: str, target: str) -> None:
    with RawGateway(says(SUCCESS)) as gateway:
        deliver(settings(gateway, url=f"http://{gateway.host}{path}"))
    assert gateway.targets() == [f"POST {target}?action=send"]


@pytest.mark.parametrize("character", "😀€©¥")
def test_a_character_that_gbk_lacks_is_rejected_and_nothing_leaves(character: str) -> None:
    with RawGateway(says(SUCCESS)) as gateway:
        result = deliver(settings(gateway, encoding="gbk"), Message(MESSAGE.to, TEXT + character))
    assert (result.outcome, result.reason, gateway.connections) == (Outcome.REJECTED, Reason.CONTENT, 0)


def test_gbk_characters_with_a_backslash_or_bar_inside_arrive_whole() -> None:
    """236 characters have 0x5C or 0x7C as their second byte."""
    text = "".join(bytes([lead, trail]).decode("gbk", "ignore") for trail in (0x5C, 0x7C) for lead in range(0x81, 0xFF))
    with RawGateway(says(SUCCESS)) as gateway:
        deliver(settings(gateway, encoding="gbk"), Message(MESSAGE.to, text))
    assert gateway.forms("gbk")[0]["content"] == text


@pytest.mark.parametrize(
    "number", ["+14155550123", "+8612800138000", "+861380013800", "+8613800138000\n", "13800138000"]
)
def test_a_number_outside_mainland_china_is_rejected_and_nothing_leaves(number: str) -> None:
    with RawGateway(says(SUCCESS)) as gateway:
        result = deliver(settings(gateway), Message(number, TEXT))
    assert (result.outcome, result.reason, gateway.connections) == (Outcome.REJECTED, Reason.NUMBER, 0)


STALE = http_answer(body=json.dumps({"returnstatus": "Faild", "message": "sign参数错误"}).encode())


def test_a_refused_timestamp_is_tried_once_more() -> None:
    with RawGateway(says(STALE, SUCCESS)) as gateway:
        assert deliver(settings(gateway, profile="v2")).outcome is Outcome.ACCEPTED
    assert len(gateway.requests) == 2


@pytest.mark.parametrize(
    ("profile", "body", "field"),
    [
        ("v2", STALE, "timestamp"),
        ("seed", http_answer(body=b'{"respCode":"00015"}'), "sendTime"),
        ("miaodi", http_answer(body=b'{"respCode":"00005"}'), "timestamp"),
    ],
)
def test_the_second_request_bears_another_timestamp_though_no_second_has_passed(
    profile: str, body: bytes, field: str
) -> None:
    with RawGateway(says(body, SUCCESS)) as gateway:
        chosen = settings(gateway, profile=profile)
        deliver(chosen)
    first, second = gateway.forms()
    assert (first[field], second[field]) == (STAMP, "20120701225213")
    signature = {"v2": "sign", "miaodi": "sig"}.get(profile)
    assert signature is None or second[signature] == sign("demo", SECRET, second[field])


def test_a_timestamp_refused_twice_is_a_matter_of_configuration() -> None:
    with RawGateway(says(http_answer(body=b'{"respCode":"00005"}'))) as gateway:
        result = deliver(settings(gateway, profile="miaodi"))
    assert (result.outcome, result.reason, len(gateway.requests)) == (Outcome.REJECTED, Reason.CONFIG, 2)


def test_a_refused_connection_may_be_retried() -> None:
    with RawGateway(says(SUCCESS)) as gateway:
        chosen = settings(gateway)
    result = deliver(chosen)
    assert (result.outcome, result.reason) == (Outcome.RETRYABLE, Reason.NETWORK)


def test_a_reset_after_the_request_is_unknown() -> None:
    with RawGateway(resets) as gateway:
        result = deliver(settings(gateway))
    assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.NETWORK)


def test_silence_is_unknown_at_the_deadline() -> None:
    with RawGateway(lambda line: gateway.wait_for_end(line)) as gateway:
        result = deliver(settings(gateway, deadline=0.3))
    assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.TIMEOUT)


CUT = "<returnsms><returnstatus>Faild</returnstatus><message>其他错误</message><rema".encode()
WHOLE = CUT.removesuffix(b"<rema") + b"</returnsms>"
SQUEEZED = {"Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (http_answer(body=CUT), Outcome.UNKNOWN),
        (b"HTTP/1.0 200 OK\r\n\r\n" + CUT, Outcome.UNKNOWN),
        (http_answer(body=gzip.compress(WHOLE)[:-30], headers=SQUEEZED), Outcome.UNKNOWN),
        (http_answer(body=WHOLE), Outcome.RETRYABLE),
        (b"HTTP/1.0 200 OK\r\n\r\n" + WHOLE, Outcome.RETRYABLE),
        (http_answer(body=gzip.compress(WHOLE), headers=SQUEEZED), Outcome.RETRYABLE),
    ],
    ids=["cut", "cut, HTTP/1.0", "cut gzip", "whole", "whole, HTTP/1.0", "whole gzip"],
)
def test_a_failure_whose_end_was_cut_is_unknown_whoever_cut_it(answer: bytes, outcome: Outcome) -> None:
    """Retryable would ask the same channel again, which may have sent."""

    def play(line: socket.socket) -> None:
        line.sendall(answer)
        line.shutdown(socket.SHUT_WR)

    with RawGateway(play) as gateway:
        assert deliver(settings(gateway)).outcome is outcome


OVERAGE = (
    "<returnsms><returnstatus>Sucess</returnstatus><message></message><payinfo>预付费</payinfo>"
    "<overage>25</overage><sendTotal>320</sendTotal></returnsms>"
).encode()


@pytest.mark.parametrize("profile", ["seed", "classic", "v2", "huaxin"])
def test_the_balance_is_asked_with_the_profiles_own_login(profile: str) -> None:
    with RawGateway(says(http_answer(body=OVERAGE))) as gateway:
        assert balance(settings(gateway, profile=profile)) == Balance("25", "预付费")
    assert gateway.targets()[0].endswith("?action=overage")
    assert gateway.forms()[0]["action"] == "overage"
    assert "mobile" not in gateway.forms()[0]


@pytest.mark.parametrize(
    ("given", "amount"),
    [("1,234", "1234"), ("1,234,567.50", "1234567.50"), ("25条", "25"), ("25 條", "25"), ("-3.5元", "-3.5")],
)
def test_a_balance_is_a_number_however_it_is_written(given: str, amount: str) -> None:
    body = OVERAGE.decode().replace("25", given).encode()
    with RawGateway(says(http_answer(body=body))) as gateway:
        assert balance(settings(gateway)) == Balance(amount, "预付费")


@pytest.mark.parametrize("given", ["1,23", "条", "1 234", "25%"])
def test_a_balance_that_is_no_number_is_none(given: str) -> None:
    body = OVERAGE.decode().replace("25", given).encode()
    with RawGateway(says(http_answer(body=body))) as gateway, pytest.raises(ChannelError):
        balance(settings(gateway))


@pytest.mark.parametrize(
    ("play", "text"),
    [
        (says(http_answer(404)), "HTTP 404"),
        (says(http_answer(body=b"<html/>")), "web page"),
        (
            says(http_answer(body="<r><returnstatus>Faild</returnstatus><message>密码错误</message></r>".encode())),
            "密码错误",
        ),
        (
            says(http_answer(body=b"<r><returnstatus>Success</returnstatus><overage>overage</overage></r>")),
            "can be read",
        ),
        (says(http_answer(body=b"<r><returnstatus>Faild</returnstatus></r>")), "no reason"),
        (resets, "broke"),
    ],
)
def test_a_balance_that_cannot_be_had_is_an_error_that_says_why(play: Play, text: str) -> None:
    with RawGateway(play) as gateway, pytest.raises(ChannelError, match=text):
        balance(settings(gateway))


def test_miaodi_offers_no_balance() -> None:
    with RawGateway(says(SUCCESS)) as gateway, pytest.raises(ChannelError, match="miaodi"):
        balance(settings(gateway, profile="miaodi"))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"profile": "v3"}, "profile"),
        ({"encoding": "big5"}, "encoding"),
        ({"url": "gateway.example/sms.aspx"}, "url"),
        ({"url": "ftp://gateway.example"}, "url"),
        ({"url": "http://[gateway"}, "url"),
        ({"url": "http://gateway.example:port"}, "url"),
        ({"url": "http://gateway.example/a b"}, "url"),
        ({"url": "http://me:secret@gateway.example"}, "url"),
        ({"url": "http://gateway.example/sms.aspx?action=send&password=secret"}, "url"),
        ({"proxy": "socks5://proxy.example"}, "proxy"),
        ({"deadline": 0}, "deadline"),
        ({"encoding": "gbk", "password": "€uro"}, "password"),
    ],
)
def test_a_setting_that_cannot_work_names_its_key_and_shows_no_secret(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"channels\.main\.{key}") as caught:
        SmsAspxSettings(**({"name": "main", "url": "http://gateway.example"} | changes))
    assert "secret" not in str(caught.value)
    assert "uro" not in str(caught.value)


def test_no_secret_number_code_or_address_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """T39, T40: every logger at DEBUG, and answers that echo what they can."""
    echo = {"Location": "http://x/?mobile=13800138000&content=345678", "X-Echo": SECRET}
    body = json.dumps({"returnstatus": "Faild", "message": f"号码13800138000 {SECRET} 345678 错误"}).encode()
    plays = iter([says(http_answer(302, headers=echo)), says(http_answer(200, body, echo)), resets])
    caplog.set_level(logging.DEBUG)
    with RawGateway(lambda line: next(plays)(line)) as gateway:
        chosen = settings(gateway)
        SmsAspxChannel(chosen)
        for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection", "asyncio"):
            caplog.set_level(logging.DEBUG, logger=name)
        results = [deliver(chosen) for _ in range(3)]
    said = caplog.text + repr(results) + repr(chosen) + repr(MESSAGE)
    assert "asyncio" in caplog.text  # the capture works
    for secret in (SECRET, "13800138000", "345678", "action=send"):
        assert secret not in said
