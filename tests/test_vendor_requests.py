"""What leaves for each vendor, byte by byte, and signatures: the documents' own, and ours as a vendor checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from otp_service.channels import aliyun as aliyun_package
from otp_service.channels import tencent as tencent_package
from otp_service.channels import vonage as vonage_package
from otp_service.channels.aliyun.channel import gateway_number
from otp_service.channels.twilio.channel import callback_signature
from otp_service.ports import Balance, ChannelError, NoBalance, Outcome, Reason
from tests.protocol_channels import (
    BUILD,
    MESSAGE,
    OTHER_SECRET,
    SECRET,
    SID,
    TEXT,
    aliyun,
    deliver,
    headers_of,
    tencent,
    twilio,
    using,
    vonage,
)
from tests.raw_gateway import RawGateway, http_answer, says

VECTORS = json.loads((Path(__file__).parent / "data" / "signing_vectors.json").read_text("utf-8"))
ENCODED = "Acme%3A+345678+is+your+code.+It+is+valid+for+5+minutes."
COMMON = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "otp-service"}
NOTHING = says(http_answer(body=b"{}"))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def as_aliyun_checks(secret: str, query: str, headers: dict[str, str], names: str, payload_hash: str) -> str:
    """The signature as the document has it, written a second time: from the names that the header lists."""
    lines = [f"{name}:{headers[name]}" for name in names.split(";")]
    canonical = "\n".join(["POST", "/", query, *lines, "", names, payload_hash])
    return hmac.new(secret.encode(), f"ACS3-HMAC-SHA256\n{sha256(canonical.encode())}".encode(), "sha256").hexdigest()


def as_tencent_checks(secret: str, scope: str, stamp: str, headers: dict[str, str], names: str, body: bytes) -> str:
    lines = [f"{name}:{headers[name].lower()}" for name in names.split(";")]
    canonical = "\n".join(["POST", "/", "", *lines, "", names, sha256(body)])
    date, service, end = scope.split("/")
    key = hmac.new(b"TC3" + secret.encode(), date.encode(), "sha256").digest()
    key = hmac.new(key, service.encode(), "sha256").digest()
    key = hmac.new(key, end.encode(), "sha256").digest()
    text = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(canonical.encode())}"
    return hmac.new(key, text.encode(), "sha256").hexdigest()


class TestTheDocumentsVectors:
    def test_of_aliyun(self) -> None:
        """Ours, and the second implementation by which our own requests are checked below."""
        vector = VECTORS["aliyun"]
        made = aliyun_package.authorization(vector["key_id"], vector["secret"], vector["query"], vector["headers"])
        assert made == vector["authorization"]
        names = ";".join(sorted(vector["headers"]))
        query, payload = urlencode(sorted(vector["query"].items())), vector["headers"]["x-acs-content-sha256"]
        again = as_aliyun_checks(vector["secret"], query, vector["headers"], names, payload)
        assert made.endswith(f"Signature={again}")

    def test_of_tencent(self) -> None:
        vector = VECTORS["tencent"]
        body = vector["body"].encode()
        made = tencent_package.authorization(
            vector["secret_id"], vector["secret_key"], vector["service"], vector["headers"], body, vector["now"]
        )
        assert made == vector["authorization"]
        headers = {name.lower(): value for name, value in vector["headers"].items()}
        again = as_tencent_checks(
            vector["secret_key"],
            "2019-02-25/cvm/tc3_request",
            str(vector["now"]),
            headers,
            "content-type;host;x-tc-action",
            body,
        )
        assert made.endswith(f"Signature={again}")

    def test_of_twilio(self) -> None:
        vector = VECTORS["twilio"]
        fields = [(name, value) for name, value in vector["fields"]]
        assert callback_signature(vector["auth_token"], vector["url"], fields) == vector["signature"]
        text = vector["url"] + "".join(f"{name}{dict(fields)[name]}" for name in sorted(dict(fields)))
        again = hmac.new(vector["auth_token"].encode(), text.encode(), hashlib.sha1).digest()
        assert base64.b64encode(again).decode() == vector["signature"]

    @pytest.mark.parametrize("vector", VECTORS["vonage"], ids=lambda vector: vector["method"])
    def test_of_vonage(self, vector: dict[str, Any]) -> None:
        fields = [(name, value) for name, value in vector["fields"]]
        assert vonage_package.signature(vector["method"], vector["secret"], fields) == vector["signature"]


class TestTwilio:
    def test_sends_a_form_with_a_basic_login(self) -> None:
        with RawGateway(NOTHING) as gateway:
            deliver(twilio(f"http://{gateway.host}/"))
        body = f"To=%2B8613800138000&From=%2B15005550006&Body={ENCODED}".encode()
        assert gateway.targets() == [f"POST /2010-04-01/Accounts/{SID}/Messages.json"]
        assert gateway.bodies() == [body]
        assert headers_of(gateway) == {
            **COMMON,
            "host": gateway.host,
            "content-type": "application/x-www-form-urlencoded",
            "content-length": str(len(body)),
            "authorization": "Basic " + base64.b64encode(f"{SID}:{SECRET}".encode()).decode(),
        }

    def test_logs_in_with_an_api_key_where_there_is_one(self) -> None:
        with RawGateway(NOTHING) as gateway:
            deliver(twilio(f"http://{gateway.host}", api_key="SK12", api_key_secret=OTHER_SECRET))
        login = base64.b64decode(headers_of(gateway)["authorization"].removeprefix("Basic ")).decode()
        assert login == f"SK12:{OTHER_SECRET}"
        assert gateway.targets() == [f"POST /2010-04-01/Accounts/{SID}/Messages.json"]

    @pytest.mark.parametrize(
        ("sender", "extno", "field"),
        [
            ("Acme", "", ("From", "Acme")),
            ("MG" + "0" * 32, "", ("MessagingServiceSid", "MG" + "0" * 32)),
            ("MG" + "0" * 32, "+15005550007", ("From", "+15005550007")),
            ("+15005550006", "MG" + "1" * 32, ("MessagingServiceSid", "MG" + "1" * 32)),
        ],
    )
    def test_names_a_sender_or_a_service_and_the_messages_own_first(
        self, sender: str, extno: str, field: tuple[str, str]
    ) -> None:
        callback = "https://otp.example.com/reports/twilio?a=b"
        with RawGateway(NOTHING) as gateway:
            channel = twilio(f"http://{gateway.host}", sender=sender, status_callback=callback)
            deliver(channel, replace(MESSAGE, extno=extno))
        assert parse_qsl(gateway.bodies()[0].decode()) == [
            ("To", MESSAGE.to),
            field,
            ("Body", TEXT),
            ("StatusCallback", callback),
        ]

    def test_asks_for_the_balance(self) -> None:
        answer = http_answer(body=json.dumps({"balance": "-1.50", "currency": "USD", "account_sid": SID}).encode())
        with RawGateway(says(answer)) as gateway:
            channel = twilio(f"http://{gateway.host}")
            assert using(channel, channel.balance) == Balance("-1.50", "USD")
        assert gateway.targets() == [f"GET /2010-04-01/Accounts/{SID}/Balance.json"]
        assert gateway.bodies() == [b""]


class TestAliyun:
    def test_sends_a_signed_form_and_keeps_number_and_code_out_of_the_address(self) -> None:
        with RawGateway(NOTHING) as gateway:
            deliver(aliyun(f"http://{gateway.host}"))
        body = (
            b"PhoneNumbers=13800138000&SignName=%E4%BB%8A%E4%BF%A1%E7%A7%91%E6%8A%80&TemplateCode=SMS_1001"
            b"&TemplateParam=%7B%22code%22%3A+%22345678%22%7D&OutId=0f9c2b7e-2"
        )
        assert gateway.targets() == ["POST /"]
        assert gateway.bodies() == [body]
        headers = headers_of(gateway)
        signed = "content-type;host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
        signature = as_aliyun_checks(SECRET, "", headers, signed, sha256(body))
        assert headers == {
            **COMMON,
            "host": gateway.host,
            "content-type": "application/x-www-form-urlencoded",
            "content-length": str(len(body)),
            "x-acs-action": "SendSms",
            "x-acs-version": "2017-05-25",
            "x-acs-date": "2023-11-14T22:13:20Z",
            "x-acs-signature-nonce": "a-word-used-once",
            "x-acs-content-sha256": sha256(body),
            "authorization": f"ACS3-HMAC-SHA256 Credential=LTAI-example,SignedHeaders={signed},Signature={signature}",
        }

    def test_takes_the_locales_template_and_the_messages_own_extension(self) -> None:
        with RawGateway(NOTHING) as gateway:
            channel = aliyun(
                f"http://{gateway.host}",
                templates={"login": "SMS_1", "login/zh-CN": "SMS_2"},
                template_params={"code": "{{code}}", "ttl": "{{ minutes }} min"},
                extend_code="90",
            )
            deliver(channel)
            deliver(channel := aliyun(f"http://{gateway.host}", extend_code="90"), replace(MESSAGE, extno="91"))
        first, second = (dict(parse_qsl(body.decode())) for body in gateway.bodies())
        assert (first["TemplateCode"], first["SmsUpExtendCode"]) == ("SMS_2", "90")
        assert json.loads(first["TemplateParam"]) == {"code": "345678", "ttl": "5 min"}
        assert (second["TemplateCode"], second["SmsUpExtendCode"]) == ("SMS_1001", "91")

    @pytest.mark.parametrize(
        ("recipient", "number"),
        [
            ("+8613800138000", "13800138000"),
            ("+85261234567", "85261234567"),
            ("+447700900123", "447700900123"),
            ("+14155550123", None),
            ("+12025550123", "12025550123"),
            ("+8613800138000\n", None),
            ("+86١٣٨٠٠١٣٨٠٠٠", None),
        ],
    )
    def test_writes_no_number_that_reads_as_another_persons(self, recipient: str, number: str | None) -> None:
        """+1 415 555 0123 without its + is a mobile of mainland China."""
        assert gateway_number(recipient) == number
        if number is None:
            with RawGateway(NOTHING) as gateway:
                result = deliver(aliyun(f"http://{gateway.host}"), replace(MESSAGE, to=recipient))
            assert (result.outcome, result.reason) == (Outcome.REJECTED, Reason.CONFIG)
            assert gateway.connections == 0


class TestTencent:
    def test_sends_signed_json(self) -> None:
        with RawGateway(NOTHING) as gateway:
            deliver(tencent(f"http://{gateway.host}"))
        body = (
            '{"PhoneNumberSet":["+8613800138000"],"SmsSdkAppId":"1400006666","SignName":"今信科技","TemplateId":"1110",'
            '"TemplateParamSet":["345678","5"],"SessionContext":"0f9c2b7e-2"}'
        ).encode()
        assert gateway.targets() == ["POST /"]
        assert gateway.bodies() == [body]
        headers = headers_of(gateway)
        scope, signed = "2023-11-14/sms/tc3_request", "content-type;host;x-tc-action"
        signature = as_tencent_checks(SECRET, scope, "1700000000", headers, signed, body)
        assert headers == {
            **COMMON,
            "host": gateway.host,
            "content-type": "application/json; charset=utf-8",
            "content-length": str(len(body)),
            "x-tc-action": "SendSms",
            "x-tc-version": "2021-01-11",
            "x-tc-timestamp": "1700000000",
            "x-tc-region": "ap-guangzhou",
            "authorization": (
                f"TC3-HMAC-SHA256 Credential=AKID-example/{scope}, SignedHeaders={signed}, Signature={signature}"
            ),
        }

    def test_leaves_out_what_is_not_set_and_takes_the_messages_own_extension(self) -> None:
        with RawGateway(NOTHING) as gateway:
            channel = tencent(
                f"http://{gateway.host}",
                signature="",
                sender_id="ACME",
                extend_code="1",
                template_params=("{{ code }}",),
                templates={"login/zh-CN": "7", "login": "8"},
            )
            deliver(channel, replace(MESSAGE, to="+85261234567", extno="2", locale="en", reference=""))
        assert json.loads(gateway.bodies()[0]) == {
            "PhoneNumberSet": ["+85261234567"],
            "SmsSdkAppId": "1400006666",
            "TemplateId": "8",
            "TemplateParamSet": ["345678"],
            "ExtendCode": "2",
            "SenderId": "ACME",
        }


class TestVonage:
    def test_sends_a_form_with_key_and_secret(self) -> None:
        with RawGateway(NOTHING) as gateway:
            deliver(vonage(f"http://{gateway.host}", callback="https://otp.example.com/r"))
        body = (
            f"api_key=12ab34cd&from=Acme&to=8613800138000&text={ENCODED}&type=text&client-ref=0f9c2b7e-2"
            f"&callback=https%3A%2F%2Fotp.example.com%2Fr&api_secret={SECRET}"
        ).encode()
        assert gateway.targets() == ["POST /sms/json"]
        assert gateway.bodies() == [body]
        assert headers_of(gateway) == {
            **COMMON,
            "host": gateway.host,
            "content-type": "application/x-www-form-urlencoded",
            "content-length": str(len(body)),
        }

    def test_says_unicode_for_what_gsm_7_lacks_and_takes_the_messages_own_sender(self) -> None:
        with RawGateway(NOTHING) as gateway:
            deliver(vonage(f"http://{gateway.host}"), replace(MESSAGE, text="验证码345678", extno="4477009000"))
        form = gateway.forms()[0]
        assert (form["text"], form["type"], form["from"]) == ("验证码345678", "unicode", "4477009000")

    @pytest.mark.parametrize("method", ["md5hash", "sha256"])
    def test_signs_in_the_place_of_the_secret(self, method: str) -> None:
        """`&` and `=` within a value are signed as `_`."""
        with RawGateway(NOTHING) as gateway:
            channel = vonage(f"http://{gateway.host}", signature_secret=OTHER_SECRET, signature_method=method)
            deliver(channel, replace(MESSAGE, text="a=b&c 345678"))
        form = gateway.forms()[0]
        sig = form.pop("sig")
        assert "api_secret" not in form
        assert form["timestamp"] == "1700000000"
        signed = (
            "&api_key=12ab34cd&client-ref=0f9c2b7e-2&from=Acme&text=a_b_c 345678&timestamp=1700000000"
            "&to=8613800138000&type=text"
        )
        expected = (
            hmac.new(OTHER_SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
            if method == "sha256"
            else hashlib.md5((signed + OTHER_SECRET).encode()).hexdigest()
        )
        assert sig == expected

    def test_asks_for_the_balance_without_a_secret_in_the_address(self) -> None:
        with RawGateway(says(http_answer(body=b'{"value": 10.280, "autoReload": false}'))) as gateway:
            channel = vonage(f"http://{gateway.host}")
            assert using(channel, channel.balance) == Balance("10.280", "EUR")
        assert gateway.targets() == ["GET /account/get-balance"]
        assert base64.b64decode(headers_of(gateway)["authorization"][6:]).decode() == f"12ab34cd:{SECRET}"


@pytest.mark.parametrize("vendor", ["twilio", "vonage"])
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (http_answer(401, b"{}"), "HTTP 401"),
        (http_answer(200, b"<html>"), "not whole JSON"),
        (http_answer(200, b"[]"), "no JSON object"),
        (http_answer(200, b"{}"), "no balance"),
    ],
)
def test_a_balance_that_cannot_be_had_is_an_error_that_says_why(vendor: str, answer: bytes, text: str) -> None:
    with RawGateway(says(answer)) as gateway:
        channel = BUILD[vendor](f"http://{gateway.host}")
        with pytest.raises(ChannelError, match=text):
            using(channel, channel.balance)


@pytest.mark.parametrize("vendor", ["aliyun", "tencent"])
def test_some_gateways_have_no_balance(vendor: str) -> None:
    channel = BUILD[vendor]("http://127.0.0.1:1")
    with pytest.raises(NoBalance):
        using(channel, channel.balance)
