"""SMPP against a message centre of our own: what it is sent, what its answers come to, what it sends by itself."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otp_service.channels.smpp import SmppChannel, SmppSettings
from otp_service.channels.smpp import channel as channel_module
from otp_service.channels.smpp.coding import parts_of, read_text
from otp_service.ports import Message, Outcome, Polled, Reason, Reply, Report, TryResult
from otp_service.sms_parts import count_parts
from otp_service.wiring import channel_settings
from tests.channel_tables import SECRET, load, refusal, warnings
from tests.smsc import DELIVER_SM_RESP, DROPS, ENQUIRE, NACK, NACKS, RAVES, SILENT, UNBIND, UNBIND_RESP, Smsc
from tests.test_channel_http import LOOPBACK, Certificate

T = TypeVar("T")

TABLE = f"""
protocol = "smpp"
host = "127.0.0.1"
system_id = "acme"
password = "{SECRET}"
system_type = "otp"
sender = "Acme"
deadline = 20
answer_within = 10
"""
SHORT = Message("+447400123456", "Acme: 345678 is your code. {1}", code="345678")
CHINESE = Message("+8613800138000", "【今信科技】您的验证码是345678 😀", code="345678")
LONG = Message("+447400123456", "Acme: 345678 is your code. " + "a€" * 80, code="345678")


def settings(port: int, **changes: Any) -> SmppSettings:
    table = {key: value for key, value in changes.items() if key not in ("enquire_link", "deadline")}
    chosen: SmppSettings = channel_settings(load(TABLE, port=port, **table).channels[0])
    return dataclasses.replace(chosen, **{key: changes[key] for key in changes if key not in table})


def play(
    smsc: Smsc, run: Callable[[SmppChannel], Awaitable[T]], *, trusted: ssl.SSLContext | None = None, **changes: Any
) -> T:
    """`run` with a channel bound to `smsc`; both are closed after it."""

    async def both() -> T:
        async with smsc:
            channel = SmppChannel(settings(smsc.port, **changes), tls=trusted, first_wait=0.01)
            try:
                return await run(channel)
            finally:
                await channel.aclose()

    return asyncio.run(both())


def sent(smsc: Smsc, message: Message = SHORT, **changes: Any) -> TryResult:
    return play(smsc, lambda channel: channel.deliver(message), **changes)


def sent_once_bound(smsc: Smsc, message: Message = SHORT, **changes: Any) -> TryResult:
    """The deadline is the answer's alone, however long a busy machine takes to bind; what was sent has come there."""

    async def run(channel: SmppChannel) -> TryResult:
        await channel._line.session()
        result = await channel.deliver(message)
        await smsc.until(lambda: bool(smsc.submitted))
        return result

    return play(smsc, run, **changes)


# --- what it is sent --------------------------------------------------------------------------------------------------


def test_a_bind_carries_the_login_and_the_version() -> None:
    smsc = Smsc()
    assert sent(smsc) == TryResult(Outcome.ACCEPTED, gateway_id="id-1")
    assert smsc.binds == [("acme", SECRET, "otp", 0x34)]
    assert UNBIND in [command for command, _, _ in smsc.got]


def test_a_short_text_is_one_message_in_the_default_alphabet() -> None:
    smsc = Smsc()
    sent(smsc)
    (got,) = smsc.submitted
    assert (got.source, got.destination) == ((5, 0, "Acme"), (1, 1, "447400123456"))
    assert got.text == b"Acme: 345678 is your code. \x1b\x281\x1b\x29"
    assert (got.data_coding, got.esm_class, got.registered_delivery, got.tags) == (0, 0, 1, {})


def test_what_the_default_alphabet_lacks_makes_it_ucs_2() -> None:
    smsc = Smsc()
    sent(smsc, CHINESE, receipts=False)
    (got,) = smsc.submitted
    assert (got.data_coding, got.text.decode("utf-16-be"), got.registered_delivery) == (8, CHINESE.text, 0)


def test_a_long_text_is_several_messages_of_which_the_last_is_reported() -> None:
    smsc = Smsc()
    assert sent(smsc, LONG).gateway_id == "id-2"
    assert [part.text[:6] for part in smsc.submitted] == [bytes([5, 0, 3, 0, 2, place]) for place in (1, 2)]
    assert {part.esm_class for part in smsc.submitted} == {0x40}
    assert [part.registered_delivery for part in smsc.submitted] == [0, 1]
    assert "".join(read_text(part.text, 0, part.esm_class) for part in smsc.submitted) == LONG.text


def test_a_long_text_may_be_one_payload() -> None:
    smsc = Smsc()
    sent(smsc, LONG, long_texts="payload")
    (got,) = smsc.submitted
    assert (got.text, got.esm_class) == (b"", 0)
    assert read_text(got.tags[0x0424], 0, 0) == LONG.text


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400))
@example("a" * 152 + "€" * 20)
@example("验" * 66 + "😀" * 5)
def test_every_text_arrives_whole_in_as_many_parts_as_are_billed(text: str) -> None:
    parts = parts_of(text, 7, split=True)
    assert len(parts) == count_parts(text).parts
    assert all(len(part.text) <= (160 if part.data_coding == 0 else 140) for part in parts)
    assert "".join(read_text(part.text, part.data_coding, part.esm_class) for part in parts) == text


@pytest.mark.parametrize(
    ("changes", "extno", "source"),
    [
        ({}, "", (5, 0, "Acme")),
        ({}, "10690", (0, 1, "10690")),
        ({"sender": "+447400000000"}, "", (1, 1, "447400000000")),
        ({"sender": ""}, "", (0, 0, "")),
        ({"sender": "10690", "source_ton": 3, "source_npi": 9}, "", (3, 9, "10690")),
        ({"source_ton": 0}, "", (0, 0, "Acme")),
    ],
)
def test_the_sender_tells_its_type_unless_the_carrier_wants_another(
    changes: dict[str, Any], extno: str, source: tuple[int, int, str]
) -> None:
    smsc = Smsc()
    sent(smsc, dataclasses.replace(SHORT, extno=extno), **changes)
    assert smsc.submitted[0].source == source


def test_a_sender_that_can_not_be_written_is_rejected_and_nothing_leaves() -> None:
    smsc = Smsc()
    for extno in ("名", "a\0b"):
        result = sent(smsc, dataclasses.replace(SHORT, extno=extno))
        assert (result.outcome, result.reason) == (Outcome.REJECTED, Reason.CONFIG)
    assert not smsc.submitted


def test_tls_is_spoken_where_it_is_asked_for_and_a_strange_certificate_refused(tmp_path: Path) -> None:
    certificate = Certificate(tmp_path, LOOPBACK)
    assert sent(Smsc(tls=certificate.server), trusted=certificate.trusting_client, tls=True).outcome is Outcome.ACCEPTED
    stranger = sent(Smsc(tls=certificate.server), tls=True)
    assert (stranger.outcome, stranger.reason) == (Outcome.RETRYABLE, Reason.NETWORK)


# --- what its answers come to -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (0x58, Outcome.RETRYABLE, Reason.RATE),  # throttled
        (0x14, Outcome.RETRYABLE, Reason.RATE),  # queue full
        (0x08, Outcome.RETRYABLE, None),  # system error
        (0x04, Outcome.RETRYABLE, None),  # not bound for this
        (0x0B, Outcome.REJECTED, Reason.NUMBER),
        (0x01, Outcome.REJECTED, Reason.CONTENT),  # too long
        (0x0A, Outcome.REJECTED, Reason.CONFIG),  # source address
        (0x0D, Outcome.REJECTED, Reason.ACCOUNT),
        (0xFF, Outcome.UNKNOWN, Reason.ANSWER),
    ],
)
def test_a_status_is_an_outcome(status: int, outcome: Outcome, reason: Reason | None) -> None:
    result = sent(Smsc(status))
    assert (result.outcome, result.reason, result.unmapped) == (outcome, reason, False)
    assert result.detail.startswith("ESME_R")


def test_a_status_of_the_carriers_own_is_counted_until_the_operator_says_what_it_means() -> None:
    assert sent(Smsc(0x401)) == TryResult(Outcome.REJECTED, Reason.CONFIG, "status 0x401", unmapped=True)
    known = sent(Smsc(0x401), statuses={"0x401": "balance"})
    assert (known.outcome, known.reason) == (Outcome.REJECTED, Reason.BALANCE)
    assert sent(Smsc(0x402), statuses={"0x402": "retryable"}).outcome is Outcome.RETRYABLE


def test_a_request_that_is_not_understood_was_not_taken() -> None:
    result = sent(Smsc(NACKS))
    assert (result.outcome, result.reason) == (Outcome.REJECTED, Reason.CONFIG)


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (0x0D, Outcome.REJECTED, Reason.ACCOUNT),
        (0x0E, Outcome.REJECTED, Reason.ACCOUNT),
        (0x0F, Outcome.REJECTED, Reason.ACCOUNT),
        (0x53, Outcome.REJECTED, Reason.CONFIG),
        (0x05, Outcome.RETRYABLE, None),
        (0x58, Outcome.RETRYABLE, Reason.RATE),
        (0xFF, Outcome.RETRYABLE, None),
    ],
)
def test_a_refused_bind_is_an_outcome_and_nothing_leaves(status: int, outcome: Outcome, reason: Reason | None) -> None:
    smsc = Smsc(bind_status=status)
    result = sent(smsc)
    assert (result.outcome, result.reason, smsc.submitted) == (outcome, reason, [])
    assert result.detail.startswith("not bound: ESME_")


def test_nobody_there_is_retryable_at_once_and_asked_again_later() -> None:
    async def run() -> tuple[TryResult, TryResult]:
        async with Smsc() as smsc:
            port = smsc.port
        channel = SmppChannel(settings(port), first_wait=0.01)
        first = await channel.deliver(SHORT)
        second = await channel.deliver(SHORT)
        await channel.aclose()
        return first, second

    for result in asyncio.run(run()):
        assert (result.outcome, result.reason) == (Outcome.RETRYABLE, Reason.NETWORK)


@pytest.mark.parametrize(("bind_status", "reason"), [(SILENT, Reason.TIMEOUT), (DROPS, Reason.NETWORK)])
def test_an_smsc_that_does_not_bind_is_retryable(bind_status: str, reason: Reason) -> None:
    smsc = Smsc()
    smsc.bind_status = bind_status
    result = sent(smsc, deadline=0.2 if bind_status == SILENT else 20)
    assert (result.outcome, result.reason, smsc.submitted) == (Outcome.RETRYABLE, reason, [])


@pytest.mark.parametrize(
    ("behaviour", "deadline", "reason"),
    [(SILENT, 0.3, Reason.TIMEOUT), (DROPS, 20, Reason.NETWORK), (RAVES, 20, Reason.NETWORK)],
)
def test_a_message_without_an_answer_may_have_been_sent(behaviour: str, deadline: float, reason: Reason) -> None:
    smsc = Smsc(behaviour)
    result = sent_once_bound(smsc, deadline=deadline)
    assert (result.outcome, result.reason, len(smsc.submitted)) == (Outcome.UNKNOWN, reason, 1)


def test_a_refused_first_part_leaves_nothing_behind_and_a_refused_second_one_does() -> None:
    smsc = Smsc(0x0B)
    assert sent(smsc, LONG).outcome is Outcome.REJECTED
    assert len(smsc.submitted) == 1
    assert sent(Smsc(0, 0x0B), LONG).outcome is Outcome.UNKNOWN
    assert sent_once_bound(Smsc(0, SILENT), LONG, deadline=1.5).outcome is Outcome.UNKNOWN


def test_no_more_than_the_window_waits_for_answers() -> None:
    smsc = Smsc()

    async def run(channel: SmppChannel) -> list[TryResult]:
        smsc.held.clear()
        tries = [asyncio.create_task(channel.deliver(SHORT)) for _ in range(9)]
        await smsc.until(lambda: len(smsc.submitted) == 3)
        smsc.held.set()
        return await asyncio.gather(*tries)

    results = play(smsc, run, window=3)
    assert {result.outcome for result in results} == {Outcome.ACCEPTED}
    assert len({result.gateway_id for result in results}) == 9
    assert smsc.most_held == 3


def test_a_full_window_is_retryable_for_who_waits_behind_it() -> None:
    smsc = Smsc(SILENT)

    async def run(channel: SmppChannel) -> list[TryResult]:
        await channel._line.session()
        return await asyncio.gather(*(channel.deliver(SHORT) for _ in range(2)))

    outcomes = [result.outcome for result in play(smsc, run, window=1, deadline=0.3)]
    assert outcomes == [Outcome.UNKNOWN, Outcome.RETRYABLE]


def test_a_line_that_breaks_is_bound_again() -> None:
    smsc = Smsc()

    async def run(channel: SmppChannel) -> TryResult:
        await channel.deliver(SHORT)
        smsc.drop()
        await smsc.until(lambda: len(smsc.binds) == 2)
        for _ in range(1000):
            if (result := await channel.deliver(SHORT)).outcome is not Outcome.RETRYABLE:
                return result
            await asyncio.sleep(0.01)
        raise AssertionError("it was not bound again")

    assert play(smsc, run).outcome is Outcome.ACCEPTED


def test_a_silent_smsc_is_asked_and_then_given_up() -> None:
    smsc = Smsc(hears_enquiries=False)

    async def run(channel: SmppChannel) -> None:
        await channel.deliver(SHORT)
        await smsc.until(lambda: len(smsc.binds) == 2)

    play(smsc, run, enquire_link=0.05)
    assert smsc.enquiries >= 1


def test_an_smsc_that_answers_its_enquiries_is_kept() -> None:
    smsc = Smsc()

    async def run(channel: SmppChannel) -> None:
        await channel.deliver(SHORT)
        await smsc.until(lambda: smsc.enquiries == 3)

    play(smsc, run, enquire_link=0.05)
    assert len(smsc.binds) == 1


def test_what_the_smsc_asks_is_answered() -> None:
    smsc = Smsc()

    async def run(channel: SmppChannel) -> None:
        await channel.deliver(SHORT)
        smsc.send(ENQUIRE, sequence=41)
        smsc.send(0x103, b"data_sm", sequence=42)
        smsc.send(0x102, b"alert", sequence=43)
        smsc.send(UNBIND, sequence=44)
        await smsc.until(lambda: len(smsc.binds) == 2)

    play(smsc, run)
    answers = [got for got in smsc.got if got[2] > 40]
    assert answers == [(0x80000015, 0, 41), (NACK, 0x03, 42), (UNBIND_RESP, 0, 44)]


# --- what it sends by itself ------------------------------------------------------------------------------------------

RECEIPT = "id:{} sub:001 dlvrd:001 submit date:2611240001 done date:2611240002 stat:{} err:{} text:Acme: 345678 is"


def reported(smsc: Smsc, *sends: Callable[[], None], **changes: Any) -> tuple[list[Report], list[Reply]]:
    """What the poller is given after `sends`, each of which is answered."""

    async def run(channel: SmppChannel) -> tuple[list[Report], list[Reply]]:
        assert isinstance(channel, Polled)
        assert await channel.reports() == []
        await smsc.until(lambda: bool(smsc.binds))
        for send in sends:
            send()
        await smsc.until(lambda: sum(command == DELIVER_SM_RESP for command, _, _ in smsc.got) == len(sends))
        reports, replies = list(await channel.reports()), list(await channel.replies())
        assert (await channel.reports(), await channel.replies()) == ([], [])
        return reports, replies

    return play(smsc, run, **changes)


@pytest.mark.parametrize(
    ("stat", "err", "delivered", "words"),
    [
        ("DELIVRD", "000", True, "DELIVRD"),
        ("UNDELIV", "027", False, "UNDELIV err 027"),
        ("EXPIRED", "0", False, "EXPIRED"),
        ("DELETED", "000", False, "DELETED"),
        ("REJECTD", "A1", False, "REJECTD err A1"),
        ("ACCEPTD", "000", None, "ACCEPTD"),
        ("enroute", "000", None, "ENROUTE"),
        ("UNKNOWN", "000", None, "UNKNOWN"),
    ],
)
def test_a_receipt_is_a_report(stat: str, err: str, delivered: bool | None, words: str) -> None:
    smsc = Smsc()
    reports, _ = reported(smsc, lambda: smsc.receipt(RECEIPT.format("id-1", stat, err)))
    assert reports == [Report("id-1", "+447400123456", delivered, words)]


def test_a_receipts_parameters_go_before_its_text() -> None:
    smsc = Smsc()
    tags = [(0x001E, b"id-7\0"), (0x0427, b"\x05")]
    reports, _ = reported(
        smsc,
        lambda: smsc.receipt("", tags=tags),
        lambda: smsc.receipt(RECEIPT.format("id-1", "DELIVRD", "000"), tags=tags, source=(5, 0, "Carrier")),
    )
    assert reports == [Report("id-7", "+447400123456", False, "UNDELIV"), Report("id-7", "", False, "UNDELIV")]


@pytest.mark.parametrize("text", ["", "stat:DELIVRD", "id:1 stat:SENT", "id:1", "text:id:1 stat:DELIVRD"])
def test_a_receipt_that_says_nothing_is_acknowledged_and_dropped(text: str) -> None:
    smsc = Smsc()
    assert reported(smsc, lambda: smsc.receipt(text)) == ([], [])


def test_a_body_that_ends_too_early_is_acknowledged_and_dropped() -> None:
    smsc = Smsc()
    assert reported(smsc, lambda: smsc.send(0x05, b"\0\1\1447"), lambda: smsc.send(0x05, b"")) == ([], [])


def test_ids_in_hex_and_in_decimal_are_one() -> None:
    smsc = Smsc(id_of=lambda count: "0001A3")
    assert sent(smsc, decimal_receipts=True).gateway_id == "1a3"
    smsc = Smsc()
    reports, _ = reported(smsc, lambda: smsc.receipt(RECEIPT.format(0x1A3, "DELIVRD", "000")), decimal_receipts=True)
    assert reports[0].gateway_id == "1a3"


def test_what_a_handset_writes_is_a_reply() -> None:
    smsc = Smsc()
    _, replies = reported(
        smsc,
        lambda: smsc.deliver(b"STOP \x1b\x65"),
        lambda: smsc.deliver("退订".encode("utf-16-be"), data_coding=8),
        lambda: smsc.deliver(b"\x05\0\x03\x01\x02\x01caf\xe9", data_coding=3, esm_class=0x40),
        lambda: smsc.deliver(b"hello", source=(5, 0, "Someone")),
    )
    texts = ["STOP €", "退订", "café"]
    assert replies == [Reply("+447400123456", text, extno="77") for text in texts]


def test_what_nobody_polls_stays_with_the_smsc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "MOST_WAITING", 1)
    smsc = Smsc()
    row = RECEIPT.format("id-1", "DELIVRD", "000")
    reports, _ = reported(smsc, lambda: smsc.receipt(row, 61), lambda: smsc.receipt(row, 62))
    assert len(reports) == 1
    assert [got[1:] for got in smsc.got if got[0] == DELIVER_SM_RESP] == [(0, 61), (0x64, 62)]


def test_no_secret_number_or_code_reaches_a_log_or_a_result(caplog: pytest.LogCaptureFixture) -> None:
    """T39."""
    caplog.set_level(logging.DEBUG)
    echo = Smsc(id_of=lambda count: f"447400123456-{SHORT.code}")
    results = [sent(echo), sent(Smsc(RAVES)), sent(Smsc(0x0B)), sent(Smsc(bind_status=0x0E))]
    smsc = Smsc()
    results += reported(smsc, lambda: smsc.receipt(RECEIPT.format("id-1", "DELIVRD", "000")))[0]
    said = caplog.text + repr(results[:4]) + repr(results[4].words) + repr(settings(1))  # type: ignore[union-attr]
    assert "asyncio" in caplog.text
    for secret in (SECRET, "7400123456", "345678"):
        assert secret not in said


# --- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "key", "mend"),
    [
        ({"host": None}, "channels.own.host: missing", "smsc.example.com"),
        ({"port": 0}, "channels.own.port", "65535"),
        ({"system_id": "a" * 16}, "channels.own.system_id", "15"),
        ({"system_id": "名"}, "channels.own.system_id", "15"),
        ({"password": "密码"}, "channels.own.password", "ASCII"),
        ({"sender": "More than eleven"}, "channels.own.sender", "11"),
        ({"source_ton": 7}, "channels.own.source_ton", "6"),
        ({"long_texts": "sar"}, "channels.own.long_texts", '"payload"'),
        ({"window": 0}, "channels.own.window", "1000"),
        ({"statuses": {"1025": "balance"}}, "channels.own.statuses", '"0x401"'),
        ({"statuses": {"0x401": "oops"}}, "channels.own.statuses.0x401", "allowed"),
        ({"proxy": "http://127.0.0.1:1"}, "channels.own.proxy", "take it out"),
    ],
)
def test_what_can_not_work_stops_the_start_and_names_its_key(changes: dict[str, Any], key: str, mend: str) -> None:
    said = refusal(TABLE, **changes)
    assert key in said
    assert mend in said


def test_codes_in_clear_are_a_warning() -> None:
    assert warnings(TABLE) == []
    assert warnings(TABLE, host="smsc.example") == [
        "channels.own.tls: is off, so codes and the password are sent in clear; "
        "use TLS, or a private line to the carrier"
    ]
    assert warnings(TABLE, host="smsc.example", tls=True) == []
