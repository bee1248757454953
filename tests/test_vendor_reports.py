"""What vendors say later of a message: pushes that are genuine and pushes that are not, polls, replies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any, ClassVar
from urllib.parse import urlencode

import pytest

from otp_service.ports import ChannelError, Polled, Push, Pushing, PushRefused, Reply, Report
from tests.protocol_channels import BUILD, NOW, OTHER_SECRET, SECRET, aliyun, headers_of, tencent, twilio, using, vonage
from tests.raw_gateway import RawGateway, http_answer, says

NOWHERE = "http://127.0.0.1:1"
SMS = "SM0123456789abcdef0123456789abcdef"


def test_each_channel_reports_in_the_way_of_its_gateway() -> None:
    channels = {name: build(NOWHERE) for name, build in BUILD.items()}
    assert {name for name, channel in channels.items() if isinstance(channel, Pushing)} == {
        "twilio",
        "aliyun",
        "vonage",
    }
    assert {name for name, channel in channels.items() if isinstance(channel, Polled)} == {"tencent"}


class TestTwiliosCallbacks:
    URL = "https://otp.example.com/reports/twilio?x=1"
    FIELDS = (
        ("MessageSid", SMS),
        ("SmsSid", SMS),
        ("AccountSid", "AC0"),
        ("MessageStatus", "delivered"),
        ("To", "+8613800138000"),
        ("RawDlrDoneDate", ""),
    )

    def push(self, fields: Any = FIELDS, url: str = URL, token: str = SECRET, **changes: Any) -> Push:
        text = url + "".join(name + value for name, value in sorted(fields))
        made = base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()
        push = Push(url, {"x-twilio-signature": made}, urlencode(fields).encode())
        return push._replace(**changes)

    def read(self, push: Push) -> Report:
        (report,) = twilio(NOWHERE).read_push(push, NOW)
        return report

    def test_a_genuine_one_is_a_report(self) -> None:
        assert self.read(self.push()) == Report(SMS, "+8613800138000", True, "delivered")

    @pytest.mark.parametrize(
        ("status", "code", "delivered", "words"),
        [
            ("queued", "", None, "queued"),
            ("sent", "", None, "sent"),
            ("read", "", True, "read"),
            ("undelivered", "30003", False, "undelivered handset out of reach"),
            ("undelivered", "30007", False, "undelivered filtered by the carrier"),
            ("failed", "30999", False, "failed error 30.999"),
            ("canceled", "", False, "canceled"),
            ("something-new", "", None, "something-new"),
        ],
    )
    def test_a_status_says_whether_it_arrived(self, status: str, code: str, delivered: bool | None, words: str) -> None:
        fields = (("MessageSid", SMS), ("MessageStatus", status), ("ErrorCode", code))
        assert self.read(self.push(fields)) == Report(SMS, "", delivered, words)

    def test_one_with_an_api_keys_login_is_signed_with_the_auth_token_all_the_same(self) -> None:
        channel = twilio(NOWHERE, api_key="SK1", api_key_secret=OTHER_SECRET)
        assert channel.read_push(self.push(), NOW)
        with pytest.raises(PushRefused):
            channel.read_push(self.push(token=OTHER_SECRET), NOW)

    def test_one_that_is_not_genuine_is_refused(self) -> None:
        genuine = self.push()
        altered = {
            "an altered body": genuine._replace(body=genuine.body.replace(b"delivered", b"failed")),
            "a field more": genuine._replace(body=genuine.body + b"&Extra=1"),
            "an altered address": genuine._replace(url=self.URL.replace("x=1", "x=2")),
            "another scheme": genuine._replace(url=self.URL.replace("https", "http")),
            "another token": self.push(token=OTHER_SECRET),
            "an address of other letters": genuine._replace(url=f"{self.URL}é\udc80"),
            "no header": genuine._replace(headers={}),
            "an empty header": genuine._replace(headers={"x-twilio-signature": ""}),
            "a header of other letters": genuine._replace(headers={"x-twilio-signature": "é\udc80"}),
        }
        for push in altered.values():
            with pytest.raises(PushRefused, match="X-Twilio-Signature") as refused:
                self.read(push)
            assert SECRET not in str(refused.value)

    @pytest.mark.parametrize("body", [b"\xff", b"a=%ff", b"&".join([b"a=b"] * 101)])
    def test_one_that_cannot_be_read_is_refused(self, body: bytes) -> None:
        with pytest.raises(PushRefused):
            self.read(self.push(body=body))

    @pytest.mark.parametrize("fields", [(), (("MessageSid", SMS),), (("MessageSid", "CA1"), ("MessageStatus", "sent"))])
    def test_a_signed_one_of_something_else_is_refused(self, fields: Any) -> None:
        with pytest.raises(PushRefused, match="names no message"):
            self.read(self.push(fields))


class TestAliyunsReports:
    URL = f"http://otp.example.com/reports/aliyun?a=b&key={OTHER_SECRET}"
    ROW: ClassVar[dict[str, Any]] = {
        "phone_number": "13800138000",
        "send_time": "2023-11-15 06:13:20",
        "report_time": "2023-11-15 06:13:22",
        "success": True,
        "err_code": "DELIVERED",
        "err_msg": "用户接收成功",
        "sms_size": "1",
        "biz_id": "900619746936498440^0",
        "out_id": "0f9c2b7e-2",
    }

    def push(self, *rows: Any, url: str = URL, headers: dict[str, str] | None = None) -> Push:
        return Push(url, headers or {}, json.dumps(rows).encode())

    def test_a_genuine_batch_is_its_reports(self) -> None:
        failed = {"phone_number": "85261234567", "success": False, "err_code": "UNDELIVERED", "biz_id": "2^0"}
        assert aliyun(NOWHERE).read_push(self.push(self.ROW, failed), NOW) == [
            Report("900619746936498440^0", "+8613800138000", True, "DELIVERED 用户接收成功"),
            Report("2^0", "+85261234567", False, "UNDELIVERED"),
        ]
        assert aliyun(NOWHERE).read_push(self.push(), NOW) == []

    @pytest.mark.parametrize(
        "url",
        [
            "http://otp.example.com/reports/aliyun",
            "http://otp.example.com/reports/aliyun?key=",
            f"http://otp.example.com/reports/aliyun?key={OTHER_SECRET}x",
            f"http://otp.example.com/reports/aliyun?key={OTHER_SECRET[:-1]}",
            f"http://otp.example.com/reports/aliyun?KEY={OTHER_SECRET}",
            f"http://otp.example.com/reports/aliyun?key=%ff{OTHER_SECRET}",
            f"http://[otp.example.com/reports/aliyun?key={OTHER_SECRET}",
        ],
    )
    def test_one_without_the_key_is_refused(self, url: str) -> None:
        push = self.push(self.ROW, url=url, headers={"authorization": f"Bearer {OTHER_SECRET}"})
        with pytest.raises(PushRefused) as refused:
            aliyun(NOWHERE).read_push(push, NOW)
        assert OTHER_SECRET not in str(refused.value)

    def test_none_is_taken_where_no_secret_is_set(self) -> None:
        push = self.push(self.ROW, url="http://otp.example.com/?key=")
        with pytest.raises(PushRefused, match="push_secret"):
            aliyun(NOWHERE, push_secret="").read_push(push, NOW)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b"[",
            b"\xff",
            b"[1]",
            b'["900619746936498440^0"]',
            b'[{"success": true}]',
            b'[{"biz_id": "1^0"}]',
            b'[{"biz_id": "1^0", "success": "true"}]',
            b"[" * 50_000,
        ],
    )
    def test_one_that_cannot_be_read_is_refused(self, body: bytes) -> None:
        with pytest.raises(PushRefused):
            aliyun(NOWHERE).read_push(self.push()._replace(body=body), NOW)


class TestVonagesReceipts:
    FIELDS = (
        ("msisdn", "8613800138000"),
        ("to", "Acme"),
        ("network-code", "46000"),
        ("messageId", "0C000000217B7F02"),
        ("price", "0.03330000"),
        ("status", "delivered"),
        ("scts", "2311142213"),
        ("err-code", "0"),
        ("api-key", "12ab34cd"),
        ("message-timestamp", "2023-11-14 22:13:20"),
        ("timestamp", "1700000000"),
        ("nonce", "aaaaaaaa-bbbb"),
    )

    def signed(self, *changes: tuple[str, str], secret: str = OTHER_SECRET, method: str = "md5hash") -> dict[str, str]:
        fields = dict(self.FIELDS) | dict(changes)
        text = "".join(f"&{name}={fields[name]}" for name in sorted(fields))
        md5 = hashlib.md5((text + secret).encode()).hexdigest()
        sha256 = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest().upper()
        return fields | {"sig": md5 if method == "md5hash" else sha256}

    def in_query(self, fields: dict[str, str]) -> Push:
        return Push(f"http://otp.example.com/reports/vonage?{urlencode(fields)}", {}, b"")

    def in_form(self, fields: dict[str, str]) -> Push:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return Push("http://otp.example.com/reports/vonage?ours=1", kind, urlencode(fields).encode())

    def in_json(self, fields: dict[str, str]) -> Push:
        kind = {"content-type": "application/json; charset=utf-8"}
        return Push("http://otp.example.com/reports/vonage?ours=1", kind, json.dumps(fields).encode())

    def read(self, push: Push, now: float = NOW, **changes: Any) -> Report:
        channel = vonage(NOWHERE, **({"signature_secret": OTHER_SECRET} | changes))
        (report,) = channel.read_push(push, now)
        return report

    @pytest.mark.parametrize("form", ["in_query", "in_form", "in_json"])
    @pytest.mark.parametrize("method", ["md5hash", "sha256"])
    def test_a_genuine_one_is_a_report(self, form: str, method: str) -> None:
        push = getattr(self, form)(self.signed(method=method))
        assert self.read(push, signature_method=method) == Report(
            "0C000000217B7F02", "+8613800138000", True, "delivered"
        )

    @pytest.mark.parametrize(
        ("status", "code", "delivered", "words"),
        [
            ("accepted", "0", None, "accepted"),
            ("buffered", "0", None, "buffered"),
            ("unknown", "1", None, "unknown unknown"),
            ("failed", "2", False, "failed handset away"),
            ("rejected", "6", False, "rejected refused as spam"),
            ("expired", "77", False, "expired error 77"),
            ("something-new", "0", None, "something-new"),
        ],
    )
    def test_a_status_says_whether_it_arrived(self, status: str, code: str, delivered: bool | None, words: str) -> None:
        report = self.read(self.in_query(self.signed(("status", status), ("err-code", code))))
        assert (report.delivered, report.words) == (delivered, words)

    @pytest.mark.parametrize("form", ["in_query", "in_form", "in_json"])
    def test_one_that_is_not_genuine_is_refused(self, form: str) -> None:
        genuine = self.signed()
        altered = {
            "altered": genuine | {"status": "failed"},
            "a field more": genuine | {"extra": "1"},
            "another secret": self.signed(secret=SECRET),
            "unsigned": dict(self.FIELDS),
            "an empty signature": genuine | {"sig": ""},
            "another method": self.signed(method="sha256"),
        }
        for fields in altered.values():
            with pytest.raises(PushRefused, match="sig is missing") as refused:
                self.read(getattr(self, form)(fields))
            assert OTHER_SECRET not in str(refused.value)

    def test_one_with_a_field_twice_is_refused(self) -> None:
        push = self.in_query(self.signed())
        with pytest.raises(PushRefused):
            self.read(push._replace(url=push.url + "&status=failed"))

    @pytest.mark.parametrize("seconds", [86_401, -86_401])
    def test_a_stale_one_is_refused(self, seconds: int) -> None:
        with pytest.raises(PushRefused, match="timestamp"):
            self.read(self.in_query(self.signed()), now=NOW + seconds)

    @pytest.mark.parametrize("change", [("timestamp", ""), ("timestamp", "soon"), ("messageId", ""), ("status", "")])
    def test_a_signed_one_that_says_too_little_is_refused(self, change: tuple[str, str]) -> None:
        with pytest.raises(PushRefused):
            self.read(self.in_query(self.signed(change)))

    def test_none_is_taken_where_no_secret_is_set(self) -> None:
        with pytest.raises(PushRefused, match="signature_secret"):
            self.read(self.in_query(self.signed(secret="")), signature_secret="")

    @pytest.mark.parametrize(
        "body", [b"{", b"[]", b'{"sig": ["a"]}', b"\xff", b'{"sig": "a", "sig": "b"}', b'{"sig": "a", "b": "\\ud800"}']
    )
    def test_one_that_cannot_be_read_is_refused(self, body: bytes) -> None:
        with pytest.raises(PushRefused):
            self.read(self.in_json({})._replace(body=body))


class TestTencentsPolls:
    ROW: ClassVar[dict[str, Any]] = {
        "Description": "DELIVRD",
        "CountryCode": "86",
        "SubscriberNumber": "13800138000",
        "ReportStatus": "SUCCESS",
        "PhoneNumber": "+8613800138000",
        "SerialNo": "5000:1045710669157053657849499619",
        "UserReceiveTime": 1620734188,
        "SessionContext": "0f9c2b7e-2",
    }

    def answer(self, **response: Any) -> bytes:
        return http_answer(body=json.dumps({"Response": response | {"RequestId": "1"}}).encode())

    def test_reports_are_asked_for_and_read(self) -> None:
        failed = self.ROW | {"ReportStatus": "FAIL", "Description": "MK:0005 +8613800138000", "PhoneNumber": "?"}
        other = self.ROW | {"ReportStatus": "?", "SerialNo": "5000:2"}
        with RawGateway(says(self.answer(PullSmsSendStatusSet=[self.ROW, failed, other]))) as gateway:
            channel = tencent(f"http://{gateway.host}")
            assert using(channel, channel.reports) == [
                Report(self.ROW["SerialNo"], "+8613800138000", True, "DELIVRD"),
                Report(self.ROW["SerialNo"], "", False, "MK:**** +****"),
                Report("5000:2", "+8613800138000", None, "DELIVRD"),
            ]
        assert gateway.bodies() == [b'{"Limit":100,"SmsSdkAppId":"1400006666"}']
        assert headers_of(gateway)["x-tc-action"] == "PullSmsSendStatus"

    def test_replies_are_asked_for_and_read(self) -> None:
        row = {
            "ExtendCode": "12",
            "PhoneNumber": "+8613800138000",
            "ReplyContent": " 退订T\ud800 ",
            "ReplyTime": 1620734188,
        }
        with RawGateway(says(self.answer(PullSmsReplyStatusSet=[row]))) as gateway:
            channel = tencent(f"http://{gateway.host}")
            assert using(channel, channel.replies) == [Reply("+8613800138000", "退订T?", extno="12")]
        assert headers_of(gateway)["x-tc-action"] == "PullSmsReplyStatus"

    @pytest.mark.parametrize("rows", [[], None])
    def test_no_rows_are_no_reports(self, rows: Any) -> None:
        with RawGateway(says(self.answer(PullSmsSendStatusSet=rows))) as gateway:
            channel = tencent(f"http://{gateway.host}")
            assert using(channel, channel.reports) == []

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            (http_answer(500), "HTTP 500"),
            (http_answer(200, b"<html>"), "not whole JSON"),
            (http_answer(200, b"{}"), "no Response"),
            (
                http_answer(200, json.dumps({"Response": {"Error": {"Code": "A.B", "Message": SECRET}}}).encode()),
                r"PullSmsSendStatus: A.B: \*\*\*\*",
            ),
            (http_answer(200, b'{"Response": {"PullSmsSendStatusSet": "x"}}'), "no list"),
        ],
    )
    def test_a_poll_that_failed_is_an_error_that_says_why(self, answer: bytes, text: str) -> None:
        with RawGateway(says(answer)) as gateway:
            channel = tencent(f"http://{gateway.host}")
            with pytest.raises(ChannelError, match=text):
                using(channel, channel.reports)
