"""What refuses a client altogether (its windows, its money, its brake) is said at three in the morning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otp_service import config, wiring
from otp_service.errors import RateLimited
from otp_service.policy import Client
from otp_service.verifier import StartRequest
from tests.cli.conftest import Command
from tests.world import Server

APP = Client("app", frozenset({"login", "signup", "password_reset"}))
PRICES = {"OTP_SPEND__PRICES__CN": "1"}
FULL = [
    ({"OTP_LIMITS__CLIENT": "1/1h"}, "client", "app", "1 in 3600 s are used up"),
    ({"OTP_LIMITS__INSTALLATION": "1/1h, 2/24h"}, "installation", "", "1 in 3600 s are used up"),
    ({**PRICES, "OTP_SPEND__CLIENT": "1.5"}, "client", "app", "1 of 1.5 is spent within 24 hours"),
    ({**PRICES, "OTP_SPEND__INSTALLATION": "1"}, "installation", "", "1 of 1 is spent within 24 hours"),
]


class Night:
    def __init__(self, command: Command, server: Server) -> None:
        self._command = command
        self._url = {"OTP_REDIS__URL": server.url}
        command("init", "--yes")

    def start(self, to: str, **limits: str) -> None:
        wiring.build_verifier(config.load(Path("otp.toml"), {**self._url, **limits})).start(
            APP, StartRequest(to, "login")
        )

    def troubles(self, **limits: str) -> str:
        return "\n".join(json.loads(self._command("status", "--json", **self._url, **limits))["troubles"])

    def traced(self, number: str, **limits: str) -> list[tuple[str, str, str, bool]]:
        document = json.loads(self._command("trace", number, "--json", **self._url, **limits))
        return [(one["limit"], one["client"] or "", one["detail"], bool(one["until"])) for one in document["limits"]]


@pytest.fixture
def night(command: Command, real_server: Server) -> Night:
    return Night(command, real_server)


@pytest.mark.parametrize(("limits", "limit", "client", "why"), FULL)
def test_a_full_limit_of_a_client_or_of_all_is_told(
    night: Night, limits: dict[str, str], limit: str, client: str, why: str
) -> None:
    """`trace` of a number that has nothing of its own says why its starts are refused, and `status` for whom."""
    assert night.traced("13800138001", **limits) == []
    night.start("13800138000", **limits)
    with pytest.raises(RateLimited):
        night.start("13800138001", **limits)

    assert night.traced("13800138001", **limits) == [(limit, client, why, True)]
    said = night.troubles(**limits)
    assert why in said
    assert ("client app" if client else "all clients") in said


def test_room_in_them_is_no_trouble(night: Night) -> None:
    limits = {"OTP_LIMITS__CLIENT": "2/1h", "OTP_SPEND__CLIENT": "2", **PRICES}
    night.start("13800138000", **limits)
    assert night.traced("13800138001", **limits) == []
    assert "app" not in night.troubles(**limits)


def test_a_full_country_is_told_of_its_numbers(night: Night) -> None:
    limits = {"OTP_LIMITS__COUNTRY": "1/1h"}
    night.start("13800138000", **limits)
    assert night.traced("13800138001", **limits) == [("country", "", "1 in 3600 s are used up", True)]


def test_a_braked_client_is_told(night: Night, real_server: Server) -> None:
    seconds, micro = real_server.client.time()
    until = seconds * 1000 + micro // 1000 + 60_000
    real_server.client.hset("otp:brake:app", mapping={"score": "120", "until": until, "times": 1})

    [(limit, client, why, ends)] = night.traced("13800138001")
    assert (limit, client, ends) == ("client", "app", True)
    assert "sprayed" in why
    assert why in night.troubles()
    assert night.traced("13800138001", OTP_LIMITS__SPRAY_BRAKE="false") == []
