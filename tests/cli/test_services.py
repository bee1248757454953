"""`serve`, `worker` and `doctor` on a real server and the simulator: what stops them, and how they stop."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from otp_service import wiring
from tests.cli.conftest import Command
from tests.cli.processes import PATIENCE, Running, free_port, http, start, until, valkey

AOF = ("--appendonly", "yes")


@pytest.fixture
def file(command: Command) -> Path:
    """What `init` writes, without a question asked."""
    command("init", "--yes")
    return Path("otp.toml").absolute()


@contextmanager
def simulator(folder: Path) -> Iterator[dict[str, str]]:
    """The environment that points the configuration to it."""
    with start("simulator", "--port", "0", folder=folder, ready_after=1) as running:
        yield {"OTP_CHANNELS__PRIMARY__URL": f"{running.lines['inbox']}sms.aspx"}


def levels(said: str) -> dict[str, str]:
    return {finding["about"]: finding["level"] for finding in json.loads(said)}


def answers(url: str) -> int:
    try:
        return http.get(url).status_code
    except httpx.HTTPError:
        return 0


class TestDoctor:
    def test_finds_nothing_wrong_where_nothing_is(self, command: Command, file: Path, tmp_path: Path) -> None:
        """From `init` to a message that the gateway took, exit 0."""
        with valkey(tmp_path, *AOF) as redis_url, simulator(tmp_path) as gateway:
            environ = {**gateway, "OTP_REDIS__URL": redis_url}
            healthy = command("doctor", "--config", str(file), "--send", "13800138000", **environ)

            assert command.status == 0, healthy
            assert "ok   channel primary: login works, balance" in healthy
            assert "ok   send by primary: accepted by the gateway" in healthy
            assert "FAIL" not in healthy

            assert command("doctor", "--channel", "nope", **environ) == ""
            assert "Invalid value for --channel: there are primary" in command.err
            wrong = command("doctor", "--json", **environ, OTP_CHANNELS__PRIMARY__PASSWORD="hunter2")
            assert command.status == 1
            assert levels(wrong)["channel primary"] == "FAIL"
            assert "hunter2" not in wrong + command.err

    def test_says_what_a_redis_must_have(self, command: Command, file: Path, tmp_path: Path) -> None:
        """T72: no AOF and an evicting policy each fail; `serve` and `worker` don't start on the latter."""
        with valkey(tmp_path, "--maxmemory-policy", "allkeys-lru") as redis_url:
            environ = {"OTP_REDIS__URL": redis_url, "OTP_CHANNELS__PRIMARY__URL": "http://127.0.0.1:1/sms.aspx"}
            found = levels(command("doctor", "--json", **environ))
            assert found["redis AOF"] == found["redis eviction"] == found["channel primary"] == "FAIL"
            assert found["redis role"] == found["redis version"] == "ok"

            for name in ("serve", "worker"):
                command(name, "--config", str(file), **environ, OTP_SERVICE__BIND=f"127.0.0.1:{free_port()}")
                assert command.status == 1
                assert "error: redis: maxmemory-policy is allkeys-lru" in command.err

    @pytest.mark.usefixtures("file")
    def test_names_every_fault_of_the_configuration(self, command: Command) -> None:
        """As lines of their own, without a traceback."""
        said = command("doctor", OTP_SERVICE__BND="hunter2", OTP_REDIS__URL="nonsense-hunter2")

        assert command.status == 1
        assert [line[:11] for line in said.splitlines()] == ["FAIL config", "FAIL config"]
        assert "hunter2" not in said + command.err


class Services:
    """Addresses of an API and a worker that read one file."""

    def __init__(self) -> None:
        self.api, self.admin, self.worker_admin = (f"127.0.0.1:{free_port()}" for _ in range(3))

    def environ(self, redis_url: str) -> dict[str, str]:
        return {
            "OTP_REDIS__URL": redis_url,
            "OTP_SERVICE__BIND": self.api,
            "OTP_SERVICE__ADMIN_BIND": self.admin,
            "OTP_DELIVERY__ADMIN_BIND": self.worker_admin,
        }


def start_login(api: str, key: str) -> int:
    asked = {"to": "13800138000", "purpose": "login"}
    headers = {"Authorization": f"Bearer {key}"}
    return http.post(f"http://{api}/v1/verifications", json=asked, headers=headers).status_code


def half_a_start(api: str, key: str) -> socket.socket:
    """A connection on which a body of 50 bytes stops after two."""
    host, _, port = api.partition(":")
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
    connection.sendall(
        b"POST /v1/verifications HTTP/1.1\r\nHost: otp\r\nContent-Type: application/json\r\n"
        b"Content-Length: 50\r\nAuthorization: Bearer " + key.encode() + b"\r\n\r\n{}"
    )
    return connection


class TestServe:
    def test_takes_over_a_change_and_drains_before_it_stops(self, command: Command, tmp_path: Path) -> None:
        """SIGHUP: what the file says now. SIGTERM: readyz says so while requests are still answered; then exit 0, and
        nothing is left."""
        key = json.loads(command("init", "--yes", "--json"))["key"]
        file, services = Path("otp.toml").absolute(), Services()
        with valkey(tmp_path) as redis_url:
            environ = services.environ(redis_url)
            with start("serve", "--config", str(file), folder=tmp_path, environ=environ) as running:
                until(lambda: answers(f"http://{services.api}/readyz") == 200, "ready")
                assert start_login(services.api, key) == 201

                file.write_text(re.sub(r"(?m)^key_hashes = .*", "key_hashes = []", file.read_text()))
                running.process.send_signal(signal.SIGHUP)
                until(lambda: start_login(services.api, key) == 401, "the key is known no more")
                until(lambda: reloads(services.admin) == {"applied": 1.0}, "counted")

                running.process.send_signal(signal.SIGTERM)
                until(lambda: answers(f"http://{services.api}/readyz") == 503, "draining")
                assert answers(f"http://{services.admin}/readyz") == 503
                alive = http.get(f"http://{services.api}/livez")
                assert (alive.status_code, alive.headers["connection"]) == (200, "close")
                assert running.wait()[0] == 0
                assert left_of(running) == []

    def test_answers_others_while_bodies_are_half_sent(self, command: Command, tmp_path: Path) -> None:
        """One caller that stops half-way takes the service from nobody else."""
        key = json.loads(command("init", "--yes", "--json"))["key"]
        services = Services()
        with valkey(tmp_path) as redis_url, ExitStack() as stalled:
            environ = services.environ(redis_url)
            stalled.enter_context(start("serve", "--config", "otp.toml", folder=tmp_path, environ=environ))
            until(lambda: answers(f"http://{services.api}/readyz") == 200, "ready")
            for _ in range(8):
                stalled.enter_context(half_a_start(services.api, key))

            assert answers(f"http://{services.api}/livez") == 200
            assert start_login(services.api, key) == 201

    def test_serves_while_redis_is_away_and_refuses_it_when_it_evicts(self, file: Path, tmp_path: Path) -> None:
        """An outage at the start takes no fleet down; an evicting server stops it as soon as it is seen."""
        services, port = Services(), free_port()
        environ = services.environ(f"redis://127.0.0.1:{port}/0")
        with start("serve", "--config", str(file), folder=tmp_path, environ=environ) as running:
            until(lambda: answers(f"http://{services.api}/readyz") == 200, "ready without Redis")
            with valkey(tmp_path, "--maxmemory-policy", "volatile-lru", port=port):
                status, said = running.wait()
                assert status == 1
                assert "maxmemory-policy is volatile-lru" in said

    def test_leaves_nothing_behind_a_kill(self, file: Path, tmp_path: Path) -> None:
        """The process that serves follows the one that was killed."""
        services = Services()
        environ = services.environ("redis://127.0.0.1:1/0")
        with start("serve", "--config", str(file), folder=tmp_path, environ=environ) as running:
            until(lambda: answers(f"http://{services.api}/livez") == 200, "alive")
            os.kill(running.process.pid, signal.SIGKILL)
            until(lambda: not running.relatives(), "gone")

    @pytest.mark.usefixtures("file")
    def test_refuses_a_debugger(self, command: Command) -> None:
        """T42: it would show codes and keys to whoever provokes an error."""
        command("serve", FLASK_DEBUG="1", OTP_SERVICE__BIND=f"127.0.0.1:{free_port()}")

        assert command.status == 1
        assert "error: FLASK_DEBUG is set" in command.err

    def test_has_an_application_for_other_servers(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """`gunicorn 'otp_service.wiring:app()'` finds its file by OTP_CONFIG."""
        monkeypatch.setenv("OTP_CONFIG", str(file))
        monkeypatch.setenv("OTP_REDIS__URL", "redis://127.0.0.1:1/0")

        assert wiring.app().test_client().get("/livez").status_code == 200

    def test_says_that_nobody_has_a_key(self, command: Command, file: Path) -> None:
        nowhere = {"OTP_SERVICE__BIND": "192.0.2.1:80"}  # an address that is nobody's: it ends before it serves

        command("serve", **nowhere)
        assert "no client has a key" not in command.err

        file.write_text(re.sub(r"(?m)^key_hashes = .*", "key_hashes = []", file.read_text()))
        command("serve", **nowhere)
        assert "no client has a key" in command.err
        assert "keys new NAME" in command.err


class TestWorker:
    def test_takes_over_a_change_and_stops_in_order(self, file: Path, tmp_path: Path) -> None:
        """Its admin address has livez, readyz and metrics. SIGHUP: a fault in the file is counted, and it works on with
        what it had; mended, it is taken over. SIGTERM: exit 0."""
        services = Services()
        with valkey(tmp_path) as redis_url:
            environ = services.environ(redis_url)
            with start("worker", "--config", str(file), folder=tmp_path, environ=environ) as running:
                url = f"http://{services.worker_admin}"
                until(lambda: answers(f"{url}/readyz") == 200, "ready")
                assert [answers(f"{url}/{page}") for page in ("livez", "metrics", "nope")] == [200, 200, 404]

                right = file.read_text()
                for text, result in ((f"{right}\nwrong = 1\n", "refused"), (right, "applied")):
                    file.write_text(text)
                    running.process.send_signal(signal.SIGHUP)
                    until(lambda result=result: result in reloads(services.worker_admin), result)  # type: ignore[misc]
                assert reloads(services.worker_admin) == {"refused": 1.0, "applied": 1.0}
                assert answers(f"{url}/readyz") == 200
                assert running.end(signal.SIGTERM)[0] == 0


def reloads(admin: object) -> dict[str, float]:
    """By their result, as the process counts them."""
    counted = re.findall(
        r'^otp_config_reloads_total\{result="(\w+)"\} (.+)$', http.get(f"http://{admin}/metrics").text, re.M
    )
    return {result: float(times) for result, times in counted}


def left_of(running: Running) -> list[int]:
    """What is left of the command; the test's own Valkey has the folder in its title as well."""
    return [pid for pid in running.relatives() if "valkey" not in Path(f"/proc/{pid}/cmdline").read_text()]
