"""`recipients export` and `erase`, on a server of the tests' own."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from otp_service import config, wiring
from otp_service.errors import RecipientBlocked
from otp_service.policy import Client
from otp_service.verifier import StartRequest
from tests.cli.conftest import Command
from tests.world import Server

NUMBER = "+8613800138000"
APP = Client("app", frozenset({"login", "signup", "password_reset"}))
NOWHERE = {"OTP_REDIS__URL": "redis://127.0.0.1:1/0"}


class Desk:
    """Who answers people's requests about their data."""

    def __init__(self, command: Command, server: Server) -> None:
        self.command = command
        self._environ = {"OTP_REDIS__URL": server.url}
        command("init", "--yes")

    def __call__(self, *arguments: str, **environ: str) -> str:
        return self.command("recipients", *arguments, **{**self._environ, **environ})

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def audit(self) -> Any:
        return json.loads(self.command("audit", "--json", "--of", NUMBER, **self._environ))

    def start(self) -> str:
        verifier = wiring.build_verifier(config.load(Path("otp.toml"), self._environ))
        asked = StartRequest(NUMBER, "login", session="s", client_ip="192.0.2.1", metadata={"order": "seven"})
        return verifier.start(APP, asked).verification.id


@pytest.fixture
def desk(command: Command, real_server: Server) -> Desk:
    return Desk(command, real_server)


def rows(said: str, kind: str) -> list[list[str]]:
    return [line.split("\t")[1:] for line in said.splitlines() if line.startswith(f"{kind}\t")]


class TestExport:
    def test_shows_what_is_held_for_a_person_and_as_json(self, desk: Desk) -> None:
        """In any spelling of the number, which itself is shown masked."""
        id = desk.start()
        said = desk("export", "138 0013 8000", "--reason", "she asked for it")

        assert desk.command.status == 0
        [[shown, client, purpose, to, status, *_, metadata, besides]] = rows(said, "verification")
        assert (shown, client, purpose, to, status) == (id, "app", "login", "+86138****8000", "pending")
        assert metadata == "order=seven"
        assert "hashes_of=client_ip,session" in besides
        assert {row[0] for row in rows(said, "held")} == {"recipient", "lookup", "cooldown", "queued_send"}
        assert "13800138000" not in said
        assert "not in this: logs" in desk.command.err

        document = desk.json("export", NUMBER)
        [one] = document["verifications"]
        assert (one["id"], one["metadata"], one["besides"]["locale"]) == (id, {"order": "seven"}, "zh-CN")
        assert [held["count"] for held in document["held"] if held["what"] == "recipient"] == [1]
        assert document["elsewhere"]

    def test_shows_a_record_whose_key_is_gone_as_far_as_that_goes(self, desk: Desk) -> None:
        """Nobody can open it any more."""
        desk.start()
        others = f"z:{base64.b64encode(secrets.token_bytes(32)).decode()}"
        said = desk("export", NUMBER, OTP_SERVICE__SECRET_KEYS=others)
        assert "its secret key is no longer configured" in said

    def test_of_a_number_that_nobody_asked_for_says_so(self, desk: Desk) -> None:
        said = desk("export", NUMBER)
        assert said == "nothing is held on +86138****8000\n"


class TestErase:
    def test_says_what_went_and_what_stays(self, desk: Desk) -> None:
        """And shows afterwards nothing more than that."""
        desk.start()
        said = desk("erase", NUMBER, "--reason", "she asked for it")

        assert desk.command.status == 0
        assert said.startswith("erased: ")
        assert "1 verification, 1 pending" in said
        assert {row[0] for row in rows(said, "kept")} == {"recipient"}
        document = desk.json("export", NUMBER)
        assert (document["verifications"], {held["what"] for held in document["held"]}) == ([], {"recipient"})

    def test_may_be_repeated_and_may_take_the_limits_too(self, desk: Desk) -> None:
        desk.start()
        desk("erase", NUMBER)
        assert desk("erase", NUMBER).startswith("erased: nothing was held\n")
        document = desk.json("erase", NUMBER, "--also-limits")
        assert (document["erased"]["key"], document["kept"]) == (1, [])

    def test_is_written_down_under_the_keyed_hash(self, desk: Desk) -> None:
        """Who asks later whether a person was erased gives the number and finds it."""
        desk.start()
        desk("erase", NUMBER, "--reason", "she asked for it")
        desk("export", NUMBER)
        desk("erase", NUMBER, "--also-limits")

        acts = desk.audit()
        assert [act["act"] for act in acts] == [
            *["recipients.erase"] * 2,
            *["recipients.export"] * 2,
            *["recipients.erase.also_limits"] * 2,
        ]
        assert acts[0]["target"].startswith("recipient:")
        assert acts[0]["reason"] == "she asked for it"
        assert "1 verification" in acts[1]["outcome"]
        assert NUMBER[4:] not in json.dumps(acts)

    def test_does_nothing_that_can_not_be_recorded(self, desk: Desk, real_server: Server) -> None:
        id = desk.start()
        real_server.client.set("otp:audit", "in the way")
        desk("erase", NUMBER)
        assert desk.command.status == 1
        assert real_server.client.keys(f"*:v:{id}")

    @pytest.mark.parametrize("name", ["erase", "export"])
    @pytest.mark.parametrize(
        ("number", "environ", "mend"), [("12", {}, "number"), (NUMBER, NOWHERE, "Redis does not answer")]
    )
    def test_says_what_is_wrong(self, desk: Desk, name: str, number: str, environ: dict[str, str], mend: str) -> None:
        """One line, exit 1."""
        desk(name, number, **environ)
        assert desk.command.status == 1
        assert mend in desk.command.err
        assert len(desk.command.err.splitlines()) == 1
        assert number not in desk.command.err or number == "12"


class TestSuppress:
    def test_stops_every_send_at_once_until_it_is_lifted(self, desk: Desk) -> None:
        """Through Redis: nothing is restarted, and the trail says who did it."""
        assert desk("suppress", "138 0013 8000", "--reason", "she is bombed") == "nothing more is sent: app\n"
        with pytest.raises(RecipientBlocked):
            desk.start()
        assert desk.json("unsuppress", NUMBER, "--client", "app") == {"suppressed": False, "clients": ["app"]}
        assert desk.start()
        assert [act["act"] for act in desk.audit()][::2] == ["recipients.suppress", "recipients.unsuppress"]

    def test_knows_no_client_that_is_not_configured(self, desk: Desk) -> None:
        desk("suppress", NUMBER, "--client", "ap")
        assert desk.command.status == 2
        assert "there are app" in desk.command.err
