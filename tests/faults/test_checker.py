"""The checker itself: logs written by hand that break one invariant each are caught, and a good one passes."""

from __future__ import annotations

from typing import Any

import pytest

from otp_service.verification import Delivery, Status, Try, Verification
from tests.faults.checker import Caps, Checker, Left, Line, Totals

ID, MOBILE = "v1", "13800138000"
START: Line = {"event": "start", "id": ID, "send": 1, "mobile": MOBILE, "dies": 300.0}
TAKEN: Line = {"event": "accepted", "account": "c0", "mobile": MOBILE, "code": "123456", "monotonic": 1.0}
APPROVED: Line = {"event": "check", "id": ID, "key": "k", "answer": "approved", "token": "t", "replayed": False}
MISMATCH: Line = {**APPROVED, "answer": "mismatch", "token": ""}


def a_try(outcome: str | None = "accepted") -> Try:
    return Try(1, "c0", outcome, None, "", "", 0, 1)


def verification(
    delivery: str = "unconfirmed", status: str = "approved", tries: tuple[Try, ...] = (a_try(),), sends: int = 1
) -> Verification:
    return Verification(ID, Status(status), Delivery(delivery), "", "login", 0, 0, 0, 0, 6, 0, sends, 4, tries=tries)


def state(delivery: str, status: str = "pending", sends: int = 1) -> Line:
    return {"event": "state", "id": ID, "sends": sends, "delivery": delivery, "status": status}


def broken(
    *,
    gateways: tuple[Line, ...] = (TAKEN,),
    clients: tuple[Line, ...] = (START, APPROVED),
    final: Verification | None = None,
    **more: Any,
) -> set[str]:
    """Names of the invariants that do not hold."""
    checker = Checker(gateways, clients, {ID: final or verification()}, **more)
    return {said.split(":")[0] for said in checker.violations()}


def test_a_send_that_went_as_it_should_breaks_nothing() -> None:
    steps = (state("queued"), state("trying"), state("accepted"), state("unconfirmed", "approved"))
    assert broken(clients=(START, MISMATCH, *steps, APPROVED, {**APPROVED, "replayed": True})) == set()


@pytest.mark.parametrize("delivery", ["queued", "trying", "accepted"])
def test_i1_a_send_without_an_end_is_caught(delivery: str) -> None:
    assert broken(final=verification(delivery)) == {"I1"}


def test_i1_a_verification_that_is_gone_is_lost() -> None:
    checker = Checker([], [START], {})
    assert [said[:2] for said in checker.violations()] == ["I1"]
    assert checker.totals() == Totals(sends=1, kills=0, lost=1, duplicates=0, unknown=0)


def test_i1_a_try_without_an_outcome_is_caught() -> None:
    assert broken(final=verification(tries=(a_try(None),))) == {"I1"}


@pytest.mark.parametrize("left", [Left(entries=1), Left(pending=1), Left(later=1)])
def test_i1_work_that_is_left_over_is_caught(left: Left) -> None:
    assert broken(left=left) == {"I1"}


@pytest.mark.parametrize("second", [{**APPROVED, "token": "u", "replayed": True}, APPROVED])
def test_i2_a_second_token_or_approval_is_caught(second: Line) -> None:
    assert broken(clients=(START, APPROVED, second)) == {"I2"}


def test_i3_a_comparison_too_many_is_caught() -> None:
    assert broken(clients=(START, *[MISMATCH] * 5, APPROVED)) == {"I3"}
    assert broken(clients=(START, *[MISMATCH] * 4, *[{**MISMATCH, "replayed": True}] * 4, APPROVED)) == set()


def test_i3_a_wrong_code_too_many_for_one_recipient_is_caught() -> None:
    assert broken(clients=(START, *[MISMATCH] * 3), caps=Caps(failures=2)) == {"I3"}


def test_i4_an_sms_after_the_code_has_expired_is_caught() -> None:
    assert broken(gateways=({**TAKEN, "monotonic": 300.9},), caps=Caps(grace=1.0)) == set()
    assert broken(gateways=({**TAKEN, "monotonic": 301.1},), caps=Caps(grace=1.0)) == {"I4"}


def test_i5_a_second_sms_by_one_channel_is_caught() -> None:
    assert broken(gateways=(TAKEN, TAKEN)) == {"I5"}
    assert broken(gateways=(TAKEN, TAKEN), clients=(START, {**START, "send": 2}, APPROVED)) == set()


def test_i5_another_code_by_another_channel_is_caught() -> None:
    assert broken(gateways=(TAKEN, {**TAKEN, "account": "c1"})) == set()
    assert broken(gateways=(TAKEN, {**TAKEN, "account": "c1", "code": "654321"})) == {"I5"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (state("trying"), state("queued")),
        (state("accepted"), state("trying")),
        (state("failed"), state("accepted")),
        (state("delivered"), state("undelivered")),
        (state("accepted", sends=2), state("accepted")),
        (state("accepted", "canceled"), state("accepted", "approved")),
    ],
)
def test_i6_a_state_that_moves_back_is_caught(before: Line, after: Line) -> None:
    final = verification(after["delivery"], after["status"], sends=after["sends"])
    assert "I6" in broken(clients=(START, before, after), final=final)


def test_i6_a_resend_begins_anew() -> None:
    assert broken(clients=(START, state("accepted"), state("queued", sends=2)), final=verification(sends=2)) == set()


def test_i6_the_end_is_held_against_what_was_seen_before() -> None:
    assert broken(clients=(START, state("failed")), final=verification("accepted", "pending")) == {"I1", "I6"}


def test_i7_an_approval_that_only_an_error_told_of_is_caught() -> None:
    error = {**APPROVED, "answer": "error", "token": ""}
    assert broken(clients=(START, error)) == {"I7"}
    assert broken(clients=(START, error, {**APPROVED, "replayed": True})) == set()


def test_a_delivery_that_nobody_reported_is_not_delivered() -> None:
    report = {"event": "report", "mobile": MOBILE}
    assert broken(final=verification("delivered")) == {"REPORTS"}
    assert broken(gateways=(TAKEN, report), final=verification("delivered")) == set()


def test_the_totals_count_sends_kills_duplicates_and_what_nobody_knows() -> None:
    gateways = [TAKEN, {**TAKEN, "account": "c1"}, {**TAKEN, "mobile": "13800138001"}]
    clients = [START, {**START, "id": "v2", "mobile": "13800138001"}, {"event": "kill", "point": "take"}]
    finals = {ID: verification(tries=(a_try("unknown"), a_try())), "v2": verification()}
    totals = Checker(gateways, clients, finals).totals()
    assert totals == Totals(sends=2, kills=1, lost=0, duplicates=1, unknown=1)
    assert str(totals) == "sends 2 · kills 1 · lost 0 · duplicates 1 · unknown 1"
