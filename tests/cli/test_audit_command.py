"""`audit`, and the commands that are written down, on a server of the tests' own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.world import Server

NOWHERE = {"OTP_REDIS__URL": "redis://127.0.0.1:1/0"}


class Operator:
    """Who types commands against one installation."""

    def __init__(self, command: Command, server: Server) -> None:
        self._command = command
        # No gateway: what `init` proposes is where a simulator of this machine may be at work.
        gateway = {"OTP_CHANNELS__PRIMARY__URL": "http://127.0.0.1:1/sms.aspx"}
        self._environ = {"OTP_REDIS__URL": server.url, "USER": "ann", **gateway}
        command("init", "--yes")

    def __call__(self, *arguments: str, **environ: str) -> str:
        return self._command(*arguments, **{**self._environ, **environ})

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    @property
    def status(self) -> int:
        return self._command.status

    @property
    def err(self) -> str:
        return self._command.err


@pytest.fixture
def operator(command: Command, real_server: Server) -> Operator:
    return Operator(command, real_server)


def written(operator: Operator) -> list[tuple[str, str, str]]:
    return [(act["act"], act["target"], act["outcome"].split(":")[0]) for act in operator.json("audit")]


class TestWhatIsWrittenDown:
    def test_is_every_act_with_its_outcome_and_its_reason(self, operator: Operator) -> None:
        """Begun before it is done, so that no act goes unseen."""
        operator("channels", "pause", "primary", "--for", "1m", "--reason", "it answers nothing")
        operator("channels", "resume", "primary")
        operator("sends", "pause", "--country", "cn", "--for", "1m")
        operator("sends", "resume")

        assert written(operator) == [
            (act, target, outcome)
            for act, target in [
                ("channels.pause", "primary"),
                ("channels.resume", "primary"),
                ("sends.pause", "region:CN"),
                ("sends.resume", "sends"),
            ]
            for outcome in ("begun", "done")
        ]
        first = operator.json("audit")[0]
        assert (first["number"], first["reason"]) == (1, "it answers nothing")
        assert first["actor"].startswith("ann@")

    def test_is_a_failure_too(self, operator: Operator, real_server: Server) -> None:
        """It was begun, and the trail says that it came to nothing."""
        real_server.client.hset("otp:pauses", mapping={f"region:{n}": f"{10**15} 0 x" for n in range(100)})
        operator("sends", "pause")

        assert operator.status == 1
        assert "there are too many pauses" in operator.err
        assert written(operator) == [("sends.pause", "sends", "begun"), ("sends.pause", "sends", "failed")]

    def test_is_a_line_on_stderr_as_well_and_stdout_stays_clean(self, operator: Operator) -> None:
        """The log is where nobody who alters Redis comes."""
        said = operator("channels", "pause", "primary", "--for", "1m", "--json")

        assert json.loads(said)["channel"] == "primary"
        lines = [json.loads(line) for line in operator.err.splitlines() if line.startswith("{")]
        assert [line["event"] for line in lines] == ["audit", "audit"]
        operator("audit", "verify", "--known", lines[1]["id"])
        assert operator.status == 0

    def test_is_a_precondition_of_the_act(self, operator: Operator, real_server: Server) -> None:
        """What can't be recorded does not happen."""
        real_server.client.set("otp:audit", "in the way")
        operator("channels", "pause", "primary")

        assert operator.status == 1
        assert "Redis does not answer" in operator.err
        assert not real_server.client.hexists("otp:c:{primary}", "paused")

    def test_is_a_test_of_a_channel_unless_redis_is_down(self, operator: Operator) -> None:
        """That act needs no Redis."""
        operator("channels", "test", "primary")
        assert written(operator)[0] == ("channels.test", "primary", "begun")

        assert written(operator)[1] == ("channels.test", "primary", "failed")

        operator("channels", "test", "primary", **NOWHERE)
        assert "the audit trail does not have this test" in operator.err

    def test_is_what_a_real_message_came_to(self, operator: Operator) -> None:
        """Which is not what was asked for; without the number."""
        for number in ("123", "13800138000"):
            operator("channels", "test", "primary", number)
            assert operator.status == 1

        assert [act["outcome"] for act in operator.json("audit")] == [
            "begun",
            "failed: send by primary: not sent, as that is no number",
            "begun",
            "failed: send by primary: retryable (network)",
        ]
        assert "13800138000" not in operator("audit")


class TestAudit:
    def test_shows_lines_for_grep(self, operator: Operator) -> None:
        operator("channels", "pause", "primary", "--for", "1m")
        first, second = operator("audit").splitlines()

        assert first.split("\t")[4:7] == ["channels.pause", "primary", "begun"]
        assert second.split("\t")[6].startswith("done: until 20")

    def test_says_so_where_nothing_was_done(self, operator: Operator) -> None:
        assert operator("audit", "--since", "400d") == "nobody did anything in this time\n"
        assert operator("audit", "verify") == "none is vouched for\n"
        assert operator.status == 0

    def test_verify_names_the_entry_that_was_altered(self, operator: Operator, real_server: Server) -> None:
        """Exit 1."""
        operator("channels", "pause", "primary", "--for", "1m")
        assert operator("audit", "verify").startswith("2 are as they were recorded\nends with 2:")

        raw = real_server.client
        [(id, fields), second] = raw.xrange("otp:audit")
        raw.delete("otp:audit")
        raw.xadd("otp:audit", {**fields, b"actor": b"bob@host"}, id=id)
        raw.xadd("otp:audit", second[1], id=second[0])
        said = operator("audit", "verify")
        assert operator.status == 1
        assert "broken: entry 1 of 20" in said
        document = operator.json("audit", "verify")
        assert (document["whole"], document["broken"]["actor"]) == (False, "bob@host")

    @pytest.mark.parametrize(
        ("arguments", "mend"),
        [
            (["--since", "forever"], "at most 3650d"),
            (["verify", "--known", "41"], "such as 41:0f3a9c5d7b1e2f48"),
        ],
    )
    def test_says_what_to_mend(self, operator: Operator, arguments: list[str], mend: str) -> None:
        """Exit 2, one line."""
        operator("audit", *arguments)
        assert operator.status == 2
        assert mend in operator.err
        assert len(operator.err.splitlines()) == 1

    def test_says_what_to_do_when_redis_is_down(self, operator: Operator) -> None:
        """Exit 1."""
        operator("audit", **NOWHERE)
        assert operator.status == 1
        assert "Redis does not answer" in operator.err
