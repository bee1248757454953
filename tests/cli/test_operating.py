"""`status`, `trace`, `channels` and `sends` on a running installation: API, worker, gateway and server, all real."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from otp_service.cli.running_demo import RunningDemo
from tests.cli.conftest import Command
from tests.cli.processes import PATIENCE, environment, free_port, http, start, until, valkey
from tests.cli.processes import command as typed

BACKUP = """
[[channels]]
name = "backup"
protocol = "sms_aspx"
url = "URL"
account = "demo"
password = "demo"
userid = "12"
profile = "seed"
signature = "今信科技"
balance_low = 100
"""
_NEW = count()
NOWHERE = {"OTP_REDIS__URL": "redis://127.0.0.1:1/0"}


@dataclass(frozen=True)
class Running:
    key: str
    api: str
    admin: str
    worker_admin: str
    environ: dict[str, str]

    def start(self, to: str, request_id: str = "asked-1") -> httpx.Response:
        return http.post(
            f"http://{self.api}/v1/verifications",
            json={"to": to, "purpose": "login"},
            headers={"Authorization": f"Bearer {self.key}", "X-Request-Id": request_id},
        )

    def started(self, to: str, request_id: str = "asked-1") -> str:
        """The id."""
        answer = self.start(to, request_id)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def start_one_of(self, beginning: str) -> httpx.Response:
        """To a number that nobody was sent anything yet: its cooldown would refuse a second start."""
        rest = 11 - len(beginning)
        return self.start(f"{beginning}{next(_NEW) * 1_234_577 % 10**rest:0{rest}d}")

    def metrics(self, address: str) -> str:
        return http.get(f"http://{address}/metrics").text


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Shared by all tests of this file; each ends the pauses that it begins."""
    folder = tmp_path_factory.mktemp("operating")
    for name in ("simulator", "valkey"):
        (folder / name).mkdir()
    with ExitStack() as stack:
        made = subprocess.run(
            typed("init", "--yes", "--json"), cwd=folder, env=environment(), capture_output=True, text=True, check=True
        )
        simulator = stack.enter_context(start("simulator", "--port", "0", folder=folder / "simulator", ready_after=1))
        url = f"{simulator.lines['inbox']}sms.aspx"
        file = folder / "otp.toml"
        file.write_text(file.read_text() + BACKUP.replace("URL", url))
        # As the demo's server: it never waits for the disk.
        aof = ("--appendonly", "yes", "--appendfsync", "no")
        redis_url = stack.enter_context(valkey(folder / "valkey", *aof))
        api, admin, worker_admin = (f"127.0.0.1:{free_port()}" for _ in range(3))
        environ = {
            "OTP_CONFIG": str(file),
            "OTP_REDIS__URL": redis_url,
            "OTP_CHANNELS__PRIMARY__URL": url,
            "OTP_SERVICE__BIND": api,
            "OTP_SERVICE__ADMIN_BIND": admin,
            "OTP_DELIVERY__ADMIN_BIND": worker_admin,
        }
        for name in ("worker", "serve"):
            stack.enter_context(_service(name, environ, folder / f"{name}.log"))
        for address in (api, worker_admin):
            until(lambda address=address: _ready(address), "ready")  # type: ignore[misc]
        yield Running(json.loads(made.stdout)["key"], api, admin, worker_admin, environ)


@contextmanager
def _service(name: str, environ: dict[str, str], log: Path) -> Iterator[None]:
    """Its log goes to a file: nobody reads along, and a full pipe would stop it."""
    with log.open("w") as stderr, subprocess.Popen(typed(name), env=environment(**environ), stderr=stderr) as process:
        try:
            yield
        finally:
            process.kill()


def _ready(address: str) -> bool:
    try:
        return http.get(f"http://{address}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def until_it_goes_by(channel: str, command: Command, running: Running) -> None:
    """API and worker each look at what is paused several times a second; what a test changed is heard of after this."""

    def goes() -> bool:
        answer = running.start_one_of("139")
        if not answer.is_success:
            return False
        id = answer.json()["id"]
        until(lambda: '"accepted"' in command("trace", id, "--json", **running.environ), "it is sent")
        return bool(rows(command("trace", id, **running.environ), "try")[0][1] == channel)

    until(goes, f"a send goes by {channel}")


def rows(said: str, kind: str) -> list[list[str]]:
    return [line.split("\t")[1:] for line in said.splitlines() if line.startswith(f"{kind}\t")]


class TestStatus:
    def test_shows_everything_and_finds_nothing_wrong(self, command: Command, running: Running) -> None:
        """As lines for grep, and as JSON."""
        running.started("13800139010")
        until(lambda: self.seen(command, running)["channels"][0]["outcomes"].get("accepted"), "a send is taken")
        said = command("status", **running.environ)

        assert command.status == 0, said
        assert rows(said, "redis")[0][:2] == ["yes", "master"]
        assert len(rows(said, "worker")) == 1
        assert [row[:2] for row in rows(said, "channel")] == [["primary", "closed"], ["backup", "closed"]]
        assert said.endswith("ok\tnothing needs a hand\n")

        document = self.seen(command, running)
        assert document["redis"]["aof"] is True
        until(lambda: self.seen(command, running)["workers"][0]["done"], "the worker says that it has done one")
        assert document["queue"]["oldest_seconds"] < PATIENCE
        assert document["channels"][0]["p95_ms"] > 0
        assert document["troubles"] == []

    def seen(self, command: Command, running: Running) -> Any:
        return json.loads(command("status", "--json", **running.environ))

    def test_says_what_to_do_when_redis_is_down(self, command: Command, running: Running) -> None:
        """Exit 1; nothing else is known then."""
        said = command("status", **{**running.environ, **NOWHERE})
        assert command.status == 1
        assert "trouble\tRedis: the server does not answer (127.0.0.1:1), so all starts and checks answer 503" in said
        document = json.loads(command("status", "--json", **{**running.environ, **NOWHERE}))
        assert document["redis"] == {"up": False}

    def test_says_what_to_do_when_no_worker_lives(self, command: Command, running: Running, tmp_path: Path) -> None:
        """A server that nobody works on."""
        with valkey(tmp_path) as empty:
            said = command("status", **{**running.environ, "OTP_REDIS__URL": empty})
        assert command.status == 1
        assert "trouble\tno worker has said" in said
        assert "otp-service worker" in said

    def test_says_so_when_every_channel_is_paused(self, command: Command, running: Running) -> None:
        """With the command that ends it."""
        for name in ("primary", "backup"):
            command("channels", "pause", name, "--for", "1m", **running.environ)
        said = command("status", **running.environ)
        assert command.status == 1
        assert "trouble\tevery channel is out of order or paused" in said
        assert {row[0] for row in rows(said, "pause")} == {"channel:primary", "channel:backup"}
        refused = command("trace", "13800139040", **running.environ)
        assert [row[0] for row in rows(refused, "limit")] == ["channels"]
        assert "of login, signup, password_reset is out of order or paused" in refused
        for name in ("primary", "backup"):
            command("channels", "resume", name, **running.environ)
        until_it_goes_by("primary", command, running)

    def test_says_so_when_a_balance_is_low(self, command: Command, running: Running, tmp_path: Path) -> None:
        """`balance_low` is where the operator wants to be told."""
        with redis.Redis.from_url(running.environ["OTP_REDIS__URL"]) as client:
            client.hset("otp:c:{backup}", mapping={"balance": "99", "balance_at": 1})
            said = command("status", **running.environ)
            client.hdel("otp:c:{backup}", "balance", "balance_at")
        assert command.status == 1
        assert "trouble\tthe balance of backup is 99, below 100" in said


class TestTrace:
    def test_shows_every_try_of_a_number_and_what_refuses_the_next(self, command: Command, running: Running) -> None:
        """In any spelling of it; the number masked, the code nowhere."""
        id = running.started("13800139020")
        until(lambda: "accepted" in command("trace", id, **running.environ), "a send is taken")
        said = command("trace", "+86 138-0013-9020", **running.environ)

        assert command.status == 0
        [[shown, client, purpose, to, status, delivery, *_]] = rows(said, "verification")
        assert (shown, client, purpose, to, status) == (id, "app", "login", "+86138****9020", "pending")
        assert delivery in {"accepted", "delivered"}
        [[send, channel, outcome, _, words, gateway_id, *_]] = rows(said, "try")
        assert (send, channel, outcome, words) == ("1", "primary", "accepted", "ok")
        assert gateway_id
        assert [row[0] for row in rows(said, "limit")] == ["cooldown"]
        assert "13800139020" not in said

    def test_of_an_id_is_the_same_in_json(self, command: Command, running: Running) -> None:
        """With the request's own limits."""
        id = running.started("13800139021")
        until(lambda: json.loads(command("trace", id, "--json", **running.environ))["verifications"][0]["tries"], "try")
        document = json.loads(command("trace", id, "--json", **running.environ))

        [one] = document["verifications"]
        assert (one["id"], one["client"], document["to"]) == (id, "app", "+86138****9021")
        assert one["tries"][0]["channel"] == "primary"
        assert [limit["limit"] for limit in document["limits"]] == ["cooldown"]
        assert "code" not in one

    def test_of_a_number_that_nobody_asked_for_says_so(self, command: Command, running: Running) -> None:
        """And whether it would be served at all."""
        said = command("trace", "13800139029", **running.environ)
        assert "has no verification in the last 2 h" in said
        assert "nothing refuses a send now" in said

        said = command("trace", "+442079460018", **running.environ)
        assert rows(said, "limit")[0][0] == "recipient_blocked"
        assert "no end in sight" in said

    def test_names_the_pause_that_holds_a_number_back(self, command: Command, running: Running) -> None:
        """Until when."""
        command("sends", "pause", "--prefix", "+86137", "--for", "1m", **running.environ)
        said = command("trace", "13700137000", **running.environ)
        command("sends", "resume", "--prefix", "+86137", **running.environ)
        assert rows(said, "limit")[0][0] == "paused"

    @pytest.mark.parametrize(
        ("asked", "said"),
        [("ver_" + "0" * 40, "remembered for 2 h"), ("ver_cut", "remembered for 2 h"), ("12", "number")],
    )
    def test_says_what_is_wrong_with_what_it_was_asked(
        self, command: Command, running: Running, asked: str, said: str
    ) -> None:
        """One line, exit 1."""
        command("trace", asked, **running.environ)
        assert command.status == 1
        assert said in command.err


class TestSends:
    def test_are_refused_by_the_api_and_come_back_by_themselves(self, command: Command, running: Running) -> None:
        """503 with the seconds left; after the end they are taken again."""
        said = command("sends", "pause", "--country", "cn", "--for", "1h", **running.environ)
        assert said.startswith("sends to CN are paused until ")
        until(lambda: running.start_one_of("138").status_code == 503, "the API hears of it")
        refused = running.start_one_of("138")
        assert refused.json()["problem"] == "unavailable"
        assert 3600 - PATIENCE <= int(refused.headers["Retry-After"]) <= 3600
        with redis.Redis.from_url(running.environ["OTP_REDIS__URL"]) as client:
            seconds, _ = client.time()
            client.hset("otp:pauses", "region:CN", seconds * 1000)  # its end has come
        until_it_goes_by("primary", command, running)

    def test_of_another_prefix_go_on(self, command: Command, running: Running) -> None:
        """And resume says what it ended."""
        command("sends", "pause", "--prefix", "+86136", "--for", "1m", **running.environ)
        until(lambda: running.start_one_of("136").status_code == 503, "the API hears of it")
        assert running.start_one_of("138").status_code == 201
        ended = json.loads(command("sends", "resume", "--json", **running.environ))
        assert ended == {"resumed": ["prefix:+86136"]}
        until(lambda: running.start_one_of("136").status_code == 201, "the API hears of it")
        assert command("sends", "resume", **running.environ) == "nothing of that was paused\n"
        until_it_goes_by("primary", command, running)

    def test_are_held_back_by_the_worker_as_well(self, command: Command, running: Running) -> None:
        """What was accepted before the pause waits, and leaves when it ends."""
        command("sends", "pause", "--for", "1m", **running.environ)
        # An API hears of it within half a second: these came in before.
        came_in = [answer.json()["id"] for n in range(3) if (answer := running.start(f"1350013500{n}")).is_success]
        until(lambda: running.start_one_of("138").status_code == 503, "the API hears of it")
        late = [answer for n in range(3, 6) if (answer := running.start(f"1350013500{n}")).is_success]
        assert late == []
        status = json.loads(command("status", "--json", **running.environ))
        assert [pause["what"] for pause in status["pauses"]] == ["sends"]
        assert status["pauses"][0]["by"].count("@") == 1
        command("sends", "resume", **running.environ)
        for id in came_in:
            until(lambda id=id: '"accepted"' in command("trace", id, "--json", **running.environ), "it leaves")  # type: ignore[misc]
        until_it_goes_by("primary", command, running)

    @pytest.mark.parametrize(
        ("arguments", "mend"),
        [
            (["--for", "8d"], "at most 7d"),
            (["--for", "30"], "write a time such as"),
            (["--for", "0s"], "write a time such as"),
            (["--country", "XX"], "ISO 3166"),
            (["--prefix", "86139"], "such as +86139"),
            (["--prefix", "+8613800138000"], "one to seven digits"),
        ],
    )
    def test_say_what_to_mend(self, command: Command, running: Running, arguments: list[str], mend: str) -> None:
        """Exit 2, one line, nothing paused."""
        command("sends", "pause", *arguments, **running.environ)
        assert command.status == 2
        assert mend in command.err
        assert len(command.err.splitlines()) == 1
        assert "13800138000" not in command.err


class TestChannels:
    def test_paused_are_passed_by_until_they_are_resumed(self, command: Command, running: Running) -> None:
        """By a worker that runs."""
        said = command("channels", "pause", "primary", "--for", "1h", **running.environ)
        assert said.startswith("primary is paused until ")
        until_it_goes_by("backup", command, running)
        assert json.loads(command("channels", "resume", "primary", "--json", **running.environ)) == {
            "channel": "primary",
            "was_paused": True,
        }
        until_it_goes_by("primary", command, running)
        assert command("channels", "resume", "primary", **running.environ) == "primary was not paused\n"

    def test_are_tested_for_their_login_and_by_a_real_message(self, command: Command, running: Running) -> None:
        """The code of it opens nothing: no verification is made."""
        said = command("channels", "test", "primary", **running.environ)
        assert (command.status, said[:24]) == (0, "ok   channel primary: lo")
        found = json.loads(command("channels", "test", "backup", "13800139050", "--json", **running.environ))
        assert [one["level"] for one in found] == ["ok"]
        assert "has no verification" in command("trace", "13800139050", **running.environ)
        both = json.loads(command("channels", "test", "13800139051", "--json", **running.environ))
        assert [one["about"] for one in both] == ["send by primary", "send by backup"]

    def test_that_fail_say_so_and_exit_1(self, command: Command, running: Running) -> None:
        """Without a word of the password."""
        said = command(
            "channels", "test", "primary", **{**running.environ, "OTP_CHANNELS__PRIMARY__PASSWORD": "hunter2"}
        )
        assert command.status == 1
        assert said.startswith("FAIL channel primary")
        assert "hunter2" not in said + command.err

    @pytest.mark.parametrize("name", ["pause", "resume", "test"])
    def test_unknown_name_the_nearest(self, command: Command, running: Running, name: str) -> None:
        """Exit 2."""
        command("channels", name, "primry", **running.environ)
        assert command.status == 2
        assert "there are primary, backup; did you mean primary?" in command.err

    @pytest.mark.parametrize(
        "arguments",
        [
            ["channels", "pause", "primary"],
            ["channels", "resume", "primary"],
            ["sends", "pause"],
            ["sends", "resume"],
            ["trace", "13800138000"],
        ],
    )
    def test_without_redis_say_what_to_do(self, command: Command, running: Running, arguments: list[str]) -> None:
        """One line, exit 1."""
        command(*arguments, **{**running.environ, **NOWHERE})
        assert command.status == 1
        assert "edis" in command.err or "store did not answer" in command.err
        assert len(command.err.splitlines()) == 1


class TestMetrics:
    def test_of_the_installation_are_on_both_admin_addresses(self, running: Running) -> None:
        """API and worker are processes of their own; each serves all that it can know."""
        running.started("13800139060")
        for address in (running.admin, running.worker_admin):
            shown = running.metrics(address)
            assert "\notp_workers 1.0\n" in shown
            assert "\notp_queue_depth " in shown
            assert "\notp_queue_oldest_seconds " in shown
            assert '\notp_channel_open{channel="backup"} 0.0\n' in shown

    def test_of_tries_come_from_the_worker_and_of_requests_from_the_api(self, running: Running) -> None:
        """By the names that the documentation has."""
        id = running.started("13800139061")
        assert running.start("13800139061").status_code == 429
        code = {"code": "000000"}
        headers = {"Authorization": f"Bearer {running.key}"}
        url = f"http://{running.api}/v1/verifications/{id}/check"
        result = http.post(url, json=code, headers=headers).json()
        until(
            lambda: (
                'otp_tries_total{channel="primary",outcome="accepted",reason=""}'
                in running.metrics(running.worker_admin)
            ),
            "a try is counted",
        )
        assert 'otp_try_seconds_count{channel="primary"}' in running.metrics(running.worker_admin)
        shown = running.metrics(running.admin)
        assert f'otp_checks_total{{purpose="login",result="{result.get("problem", "approved")}"}}' in shown
        assert 'otp_refusals_total{limit="cooldown"}' in shown


class TestTheLog:
    def test_of_the_worker_names_the_request_that_the_api_was_asked_by(self, running: Running) -> None:
        """From `X-Request-Id` to the line at the end of the delivery, in another process."""
        id = running.started("13800139065", request_id="from-the-shop-65")
        log = Path(running.environ["OTP_CONFIG"]).with_name("worker.log")
        until(lambda: id in log.read_text(), "the delivery is logged")
        [line] = [json.loads(line) for line in log.read_text().splitlines() if id in line]

        assert (line["event"], line["request_id"], line["channel"]) == ("delivery", "from-the-shop-65", "primary")
        assert (line["outcome"], line["words"]) == ("accepted", "ok")
        assert line["gateway_id"].isdigit()
        assert "13800139065" not in log.read_text()


class TestTheDemo:
    def test_is_found_without_flags(self, command: Command, tmp_path: Path) -> None:
        """Its note, which only this user may read, carries its configuration."""
        ports = ["--port", str(free_port()), "--inbox-port", str(free_port())]
        with start("demo", *ports, folder=tmp_path, ready_after=4):
            here = {"XDG_RUNTIME_DIR": str(tmp_path)}
            [note] = (tmp_path / "otp-service").glob("demo-*.json")
            assert stat.S_IMODE(note.stat().st_mode) == 0o600
            command("send", "13800139070", **here)
            assert command("status", **here).endswith("nothing needs a hand\n")
            assert "+86138****9070" in command("trace", "13800139070", **here)
            command("channels", "pause", "primary", **here)
            assert command.status == 0
            command("sends", "pause", "--country", "GB", **here)
            assert len(rows(command("status", **here), "pause")) == 2
            assert "ok   client demo: 1 active keys" in command("doctor", **here)
            assert "FAIL" not in command("doctor", **here)
            assert command("keys", "token-key", "demo", **here).count("\n") == 3
            assert command.status == 0

    @pytest.mark.parametrize("asked", ["status", "doctor", "keys token-key demo"])
    def test_that_does_not_run_is_said_with_the_way_out(
        self, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: str
    ) -> None:
        """`--config`, for a real installation."""
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        command(*asked.split())
        assert command.status == 1
        assert command.err == "error: no demo is running; start `otp-service demo`, or give --config\n"

    def test_shows_none_of_its_secrets(self) -> None:
        """Not even where somebody prints it."""
        demo = RunningDemo("http://127.0.0.1:1", "otp_k", os.getpid(), {"service": {"secret_keys": ["s3cret"]}})
        assert "s3cret" not in repr(demo)
