"""`limits show` and `clear`, on a server of the tests' own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from otp_service import config, wiring
from otp_service.errors import CodeMismatch, RateLimited, RecipientDisabled
from otp_service.policy import Client
from otp_service.verifier import CheckRequest, StartRequest, Verifier
from tests.cli.conftest import Command
from tests.world import Server

NUMBER = "+8613800138000"
NEIGHBOUR = "+8613800138001"
APP = Client("app", frozenset({"login", "signup", "password_reset"}))
LIMITS = {
    "OTP_LIMITS__RECIPIENT": "1/1h",
    "OTP_LIMITS__FAILURES": "2/1h, 9/24h",
    "OTP_LIMITS__PREFIX": "1/1h",
    "OTP_LIMITS__DISABLE_AFTER": "2",
}


class Desk:
    def __init__(self, command: Command, server: Server) -> None:
        self.command = command
        self.environ = {"OTP_REDIS__URL": server.url, **LIMITS}
        command("init", "--yes")

    def __call__(self, *arguments: str) -> str:
        return self.command("limits", *arguments, **self.environ)

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def verifier(self) -> Verifier:
        return wiring.build_verifier(config.load(Path("otp.toml"), self.environ))

    def burn(self) -> str:
        """One send and two wrong codes: everything is full. The id."""
        verifier = self.verifier()
        id = verifier.start(APP, StartRequest(NUMBER, "login")).verification.id
        for code in ("000000", "000001"):
            with pytest.raises(CodeMismatch):
                verifier.check(APP, id, CheckRequest(code))
        return id


@pytest.fixture
def desk(command: Command, real_server: Server) -> Desk:
    return Desk(command, real_server)


def test_show_names_every_window_that_counts_for_a_number(desk: Desk) -> None:
    desk.burn()
    shown = desk.json("show", "138 0013 8000")
    assert shown["to"] == "+86138****8000"
    counted = {(one["limit"], one["seconds"]): (one["used"], one["most"]) for one in shown["limits"]}
    assert counted == {
        ("recipient", 3600): (1, 1),
        ("failures", 3600): (2, 2),
        ("failures", 86400): (2, 9),
        ("prefix", 3600): (1, 1),
        ("channel:primary", 3600): (0, 5),
        ("disable_after", None): (2, 2),
    }
    full = {one["limit"] for one in shown["limits"] if one["until"]}
    assert full == {"recipient", "failures", "prefix"}
    assert "limit\trecipient\t\t1 of 1\t3600 s\t" in desk("show", NUMBER)


def test_clear_lets_the_number_in_at_once_and_is_written_down(desk: Desk) -> None:
    id = desk.burn()
    verifier = desk.verifier()
    with pytest.raises(RecipientDisabled):
        verifier.check(APP, id, CheckRequest("000002"))
    assert (
        desk("clear", NUMBER, "--prefix", "--reason", "called us")
        == "what was counted of +86138****8000 is forgotten\n"
    )
    with pytest.raises(CodeMismatch):
        verifier.check(APP, id, CheckRequest("000002"))
    assert verifier.start(APP, StartRequest(NUMBER, "login")).verification.id == id
    acts = json.loads(desk.command("audit", "--json", "--of", NUMBER, **desk.environ))
    assert "limits.clear.prefix" in json.dumps(acts)
    assert "called us" in json.dumps(acts)


def test_clear_leaves_the_neighbours_sends_unless_it_is_told(desk: Desk) -> None:
    desk.burn()
    desk("clear", NUMBER)
    with pytest.raises(RateLimited) as refused:
        desk.verifier().start(APP, StartRequest(NEIGHBOUR, "login"))
    assert refused.value.limit == "prefix"


@pytest.mark.parametrize("act", ["show", "clear"])
def test_what_is_no_number_is_said_so(desk: Desk, act: str) -> None:
    desk(act, "12 apples")
    assert desk.command.status == 1
    assert "phone number" in desk.command.err


@pytest.mark.parametrize(("what", "target"), [("GB", "country:GB"), (NUMBER, "recipient:")])
def test_lift_says_when_nothing_is_held_and_is_written_down(desk: Desk, what: str, target: str) -> None:
    assert desk("lift", what) == "nothing was held\n"
    acts = desk.command("audit", "--json", **desk.environ)
    assert "limits.lift" in acts
    assert target in acts


def test_enabling_a_disabled_recipient_is_written_down_and_enabling_another_is_not(desk: Desk) -> None:
    desk.burn()
    verifier = desk.verifier()
    verifier.enable(APP, NEIGHBOUR)
    verifier.enable(APP, NUMBER)
    verifier.enable(APP, NUMBER)
    desk("show", NUMBER)  # takes what the verifier logged
    acts = json.loads(desk.command("audit", "--json", **desk.environ))
    assert json.dumps(acts).count("recipients.enable") == 1
    assert "client:app" in json.dumps(acts)
