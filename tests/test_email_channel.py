"""Mail to an SMS gateway, against a mail server of our own."""

from __future__ import annotations

import asyncio
import email
import email.policy
import logging
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest

from otp_service.channels.email import EmailChannel
from otp_service.errors import ConfigError
from otp_service.ports import Message, Outcome, Reason, TryResult
from otp_service.wiring import build_channel, channel_settings
from tests.channel_tables import MESSAGE, SECRET, TEXT, load, refusal, warnings
from tests.smtp_server import DROPS, SILENT, SmtpServer
from tests.test_channel_http import LOOPBACK, Certificate

TABLE = """
protocol = "email"
host = "127.0.0.1"
tls = "none"
sender = "otp@acme.example"
address = "{{ digits }}@sms.example.com"
subject = "{{ reference }}"
deadline = 20
answer_within = 10
"""
LOGIN = {"username": "acme", "password": SECRET}


def sent(
    server: SmtpServer,
    message: Message = MESSAGE,
    *,
    trusted: ssl.SSLContext | None = None,
    deadline: float = 20,
    **changes: Any,
) -> TryResult:
    async def run() -> TryResult:
        async with server:
            table = {"deadline": deadline, "answer_within": deadline / 2, "port": server.port, **changes}
            channel = EmailChannel(channel_settings(load(TABLE, **table).channels[0]), tls=trusted)
            result = await channel.deliver(message)
            await channel.aclose()
            return result

    return asyncio.run(run())


def test_a_mail_goes_to_the_address_made_of_the_number() -> None:
    server = SmtpServer()
    result = sent(server)
    assert (result.outcome, result.gateway_id) == (Outcome.ACCEPTED, "4C3D2A1B9F")
    (mail,) = server.mails
    assert (mail.sender, mail.recipient, mail.login) == ("otp@acme.example", "447400123456@sms.example.com", None)
    read = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert read.get_content().replace("\r\n", "\n").rstrip("\n.") == TEXT
    assert read["Subject"] == "ref-1"
    assert read["Auto-Submitted"] == "auto-generated"
    assert server.steps[-1] == "quit"


def test_chinese_and_long_lines_arrive_whole() -> None:
    server = SmtpServer()
    text = "【今信科技】您的验证码是345678\n.\nFrom here 😀" + "x" * 1200
    sent(server, Message(MESSAGE.to, text))
    content = server.mails[0].content
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    read = email.message_from_bytes(content.replace(b"\r\n..", b"\r\n."), policy=email.policy.default)
    assert read.get_content().replace("\r\n", "\n").removesuffix(".\n").rstrip("\n") == text


def test_no_value_begins_a_header_or_another_recipient() -> None:
    server = SmtpServer()
    hostile = "x\r\nBcc: all@acme.example\r\n\r\nhello\u2028Cc: y"
    sent(server, Message(MESSAGE.to, hostile, reference=hostile, extno=hostile), subject="{{ reference }} {{ extno }}")
    read = email.message_from_bytes(server.mails[0].content, policy=email.policy.default)
    assert set(read.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding",
    }  # fmt: skip
    assert server.steps.count("rcpt") == 1


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_the_login_goes_over_tls_and_a_strange_certificate_is_refused(tls: str, tmp_path: Path) -> None:
    certificate = Certificate(tmp_path, LOOPBACK)

    def server() -> SmtpServer:
        return SmtpServer(tls=certificate.server, implicit=tls == "implicit")

    trusting = server()
    assert sent(trusting, trusted=certificate.trusting_client, tls=tls, **LOGIN).outcome is Outcome.ACCEPTED
    assert (trusting.mails[0].over_tls, trusting.mails[0].login) == (True, ("acme", SECRET))
    strange = server()
    result = sent(strange, tls=tls, **LOGIN)
    assert (result.outcome, result.reason, strange.mails) == (Outcome.RETRYABLE, Reason.NETWORK, [])
    assert "auth" not in strange.steps


def test_without_tls_where_it_is_wanted_nothing_is_said() -> None:
    server = SmtpServer()
    result = sent(server, tls="starttls", **LOGIN)
    assert (result.outcome, result.reason, server.mails) == (Outcome.REJECTED, Reason.CONFIG, [])
    assert "auth" not in server.steps


@pytest.mark.parametrize(
    ("step", "answer", "outcome", "reason"),
    [
        ("greeting", "421 busy", Outcome.RETRYABLE, None),
        ("greeting", "554 go away", Outcome.REJECTED, Reason.CONFIG),
        ("greeting", DROPS, Outcome.RETRYABLE, Reason.NETWORK),
        ("greeting", "HTTP/1.1 400", Outcome.RETRYABLE, Reason.ANSWER),
        ("auth", "535 5.7.8 wrong", Outcome.REJECTED, Reason.ACCOUNT),
        ("auth", "454 later", Outcome.RETRYABLE, None),
        ("mail", "530 login first", Outcome.REJECTED, Reason.ACCOUNT),
        ("mail", "553 not you", Outcome.REJECTED, Reason.CONFIG),
        ("mail", "451 later", Outcome.RETRYABLE, None),
        ("mail", DROPS, Outcome.RETRYABLE, Reason.NETWORK),
        ("rcpt", "550 5.1.1 no such user", Outcome.REJECTED, Reason.NUMBER),
        ("rcpt", "553 no such user", Outcome.REJECTED, Reason.NUMBER),
        ("rcpt", "550 5.7.1 relaying denied", Outcome.REJECTED, Reason.ACCOUNT),
        ("rcpt", "554 no", Outcome.REJECTED, Reason.CONFIG),
        ("rcpt", "450 greylisted", Outcome.RETRYABLE, None),
        ("rcpt", DROPS, Outcome.RETRYABLE, Reason.NETWORK),
        ("data", "554 no", Outcome.REJECTED, Reason.CONTENT),
        ("data", "451 later", Outcome.RETRYABLE, None),
        ("data", DROPS, Outcome.UNKNOWN, Reason.NETWORK),
        ("done", "554 5.6.0 spam", Outcome.REJECTED, Reason.CONTENT),
        ("done", "452 full", Outcome.RETRYABLE, None),
        ("done", DROPS, Outcome.UNKNOWN, Reason.NETWORK),
        ("done", "what?", Outcome.UNKNOWN, Reason.NETWORK),
        ("done", "354 go on", Outcome.UNKNOWN, Reason.ANSWER),
        ("quit", DROPS, Outcome.ACCEPTED, None),
    ],
)  # fmt: skip
def test_an_answer_is_an_outcome(step: str, answer: str, outcome: Outcome, reason: Reason | None) -> None:
    result = sent(SmtpServer(**{step: answer}), **LOGIN)
    assert (result.outcome, result.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        ("greeting", Outcome.RETRYABLE),
        ("rcpt", Outcome.RETRYABLE),
        ("data", Outcome.UNKNOWN),
        ("done", Outcome.UNKNOWN),
    ],
)
def test_silence_ends_at_the_deadline(step: str, outcome: Outcome) -> None:
    result = sent(SmtpServer(**{step: SILENT}), deadline=0.3)
    assert (result.outcome, result.reason) == (outcome, Reason.TIMEOUT)


def test_nobody_there_is_retryable() -> None:
    channel = EmailChannel(channel_settings(load(TABLE, port=1).channels[0]))
    result = asyncio.run(channel.deliver(MESSAGE))
    assert (result.outcome, result.reason) == (Outcome.RETRYABLE, Reason.NETWORK)


@pytest.mark.parametrize(
    ("answer", "id"),
    [
        ("250 2.0.0 Ok: queued as ABC123", "ABC123"),
        ("250 OK id=1tEx0b-000000-2A", "1tEx0b-000000-2A"),
        ("250 2.0.0 4AOLPq12 Message accepted for delivery", "4AOLPq12"),
        ("250 ok", ""),
        ("250 queued as 447400123456", ""),
    ],
)
def test_the_servers_name_of_a_mail_is_kept(answer: str, id: str) -> None:
    assert sent(SmtpServer(done=answer)).gateway_id == id


def test_no_secret_number_or_code_reaches_a_log_or_a_result(caplog: pytest.LogCaptureFixture) -> None:
    """T39."""
    caplog.set_level(logging.DEBUG)
    echo = f"550 <447400123456@sms.example.com> {SECRET} 345678"
    said = caplog.text + repr([sent(SmtpServer(**{step: echo}), **LOGIN) for step in ("auth", "rcpt", "done")])
    said += repr(channel_settings(load(TABLE, **LOGIN).channels[0]))
    for secret in (SECRET, "7400123456", "345678"):
        assert secret not in said


def test_without_its_library_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    section = load(TABLE).channels[0]
    monkeypatch.setitem(sys.modules, "aiosmtplib", None)
    monkeypatch.delitem(sys.modules, "otp_service.channels.email")
    with pytest.raises(ConfigError, match=r"channels\.own\.protocol: .*aiosmtplib.*otp-service\[email\]"):
        build_channel(section)


@pytest.mark.parametrize(
    ("changes", "key", "mend"),
    [
        ({"host": None}, "channels.own.host: missing", "smtp.example.com"),
        ({"sender": "Acme <otp@acme.example>"}, "channels.own.sender", "otp@example.com"),
        ({"sender": "a@b\r\nBcc: c@d"}, "channels.own.sender", "otp@example.com"),
        ({"address": "sms@example.com"}, "channels.own.address", "{{ digits }}"),
        ({"address": "{{ digits }}"}, "channels.own.address", "once filled"),
        ({"address": "{{ digits }}@x.example, b@x.example"}, "channels.own.address", "once filled"),
        ({"address": "{{ text }}@x.example"}, "channels.own.address", "digits"),
        ({"subject": "a\nb"}, "channels.own.subject", "one line"),
        ({"subject": "{{ text }}"}, "channels.own.subject", "reference"),
        ({"username": "acme"}, "channels.own.password", "both or none"),
        ({"tls": "none", "host": "smtp.example", **LOGIN}, "channels.own.tls", "in clear"),
        ({"tls": "ssl"}, "channels.own.tls", '"implicit"'),
        ({"proxy": "http://127.0.0.1:1"}, "channels.own.proxy", "take it out"),
    ],
)
def test_what_can_not_work_stops_the_start_and_names_its_key(changes: dict[str, Any], key: str, mend: str) -> None:
    said = refusal(TABLE, **changes)
    assert key in said
    assert mend in said


def test_codes_in_clear_are_a_warning() -> None:
    assert warnings(TABLE) == []
    assert "in clear" in warnings(TABLE, host="smtp.example")[0]
    assert warnings(TABLE, host="smtp.example", tls="starttls") == []
