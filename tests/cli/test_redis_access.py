"""The lines of docs/deploy.md for Redis's access list: with its own, each role does all that it does, and needs it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.test import Client

from otp_service import config as configuration
from otp_service import store, wiring
from otp_service.api_keys import new_key
from otp_service.config import Config
from otp_service.simulator.app import App, Settings
from otp_service.simulator.journal import Journal
from otp_service.simulator.server import Server as Simulator
from otp_service.store.fields import RECORD
from otp_service.store.keys import Keys
from otp_service.store.scripts import SCRIPTS
from otp_service.webhook_signature import sign
from tests.cli.conftest import Command
from tests.cli.processes import free_port
from tests.world import Server, until

PAGE = (Path(__file__).parents[2] / "docs/deploy.md").read_text("utf-8")
LINES = {name: rest.split() for name, rest in re.findall(r"^user otp-(\w+) (.+)$", PAGE, re.MULTILINE)}
"""By role."""
SCRIPTS_OF = {
    "api": {
        "start", "resend", "check", "cancel", "view", "token", "claim", "keep", "release", "charge", "spend", "unspend",
        "brake", "pools", "standing", "now", "audit_tail", "audit_add", "hook_state",
    },
    "worker": {
        "take", "record", "settle", "tell", "wake", "report", "note", "probe", "standing", "credit", "beat", "now",
        "lease", "balance", "put_off", "bring_back", "hook_add", "hook_claim", "hook_settle", "hook_state",
    },
    "operator": {
        "standing", "pause_channel", "pause_sends", "now", "revoke", "audit_tail", "audit_add", "erase", "hook_drop",
        "cool", "hook_state",
    },
}  # fmt: skip
"""By role: what it may have to run, whether or not this test comes to it."""
NOT_MET = {
    "select": "redis.url names another database than 0",
    "wait": "redis.durability is wait",
}
"""What a line may hold for cases that this installation does not come to."""
_CALL = re.compile(r"redis\.p?call\('(\w+)'")
_ALWAYS = {"auth"}
"""No list can take it away."""
_OURS = {"config|resetstat", "keys"}
"""Commands that this test itself asks."""
KEY, NUMBERS = new_key(), ("13800138000", "13900139000", "13700137000")
PUSH_SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
FILE = """
[service]
secret_keys = ["a:{secret}"]
fingerprint_key = "{fingerprint}"
default_region = "CN"
[redis]
url = "{url}"
fence = true
[limits]
device = ["100/1h"]
installation = ["1000/1h"]
[spend]
prices = {{ CN = 0.01 }}
client = 10
[[channels]]
name = "primary"
protocol = "sms_aspx"
url = "http://127.0.0.1:{gateway}/sms.aspx"
account = "demo"
password = "demo"
signature = "今信科技"
reports = "poll"
balance_low = 1000000000
[[channels]]
name = "backup"
protocol = "sms_aspx"
url = "http://127.0.0.1:{gateway}/sms.aspx"
account = "backup"
password = "demo"
signature = "今信科技"
reports = "push"
report_secret = "{push}"
[[clients]]
name = "shop"
key_hashes = ["{key}"]
[[webhooks]]
name = "shop-events"
url = "http://127.0.0.1:{gateway}/nowhere"
secrets = ["{webhook}"]
allow = ["127.0.0.1:{gateway}"]
"""


def random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def allowed(role: str) -> set[str]:
    return {word[1:] for word in LINES[role] if word.startswith("+")}


def in_scripts(role: str) -> set[str]:
    words = {found.lower() for name in SCRIPTS_OF[role] for found in _CALL.findall(SCRIPTS[name].text)}
    # Of a family of commands the list names the member; the script has that word elsewhere.
    return {{"xinfo": "xinfo|groups"}.get(word, word) for word in words}


@dataclass
class Place:
    """One installation, whose roles each have a user of their own."""

    admin: redis.Redis
    url: str
    folder: Path
    gateway: int = field(default_factory=free_port)
    asked: dict[str, set[str]] = field(default_factory=dict)
    """Commands that the server was asked by each role, in scripts and beside them."""
    _values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A worker that everybody hears of, however slow this machine is.
        self.admin.zadd(Keys("otp").workers(), {"another": (time.time() + 3600) * 1000})
        self._values = {
            "secret": random_key(), "fingerprint": random_key(), "webhook": "whsec_" + random_key(), "key": KEY.hash,
            "push": PUSH_SECRET, "gateway": self.gateway,
        }  # fmt: skip
        self.admin.acl_log_reset()
        for role, line in LINES.items():
            words = [word.replace(">PASSWORD", ">" + self.password(role)) for word in line]
            self.admin.execute_command("ACL", "SETUSER", f"otp-{role}", *words)
            self.file(role).write_text(FILE.format(url=self.url_of(role), **self._values), "utf-8")

    def password(self, role: str) -> str:
        return hashlib.sha256(f"{self.folder} {role}".encode()).hexdigest()

    def url_of(self, role: str) -> str:
        return self.url.replace("redis://", f"redis://otp-{role}:{self.password(role)}@")

    def file(self, role: str) -> Path:
        return self.folder / f"{role}.toml"

    def config(self, role: str) -> Config:
        return configuration.load(self.file(role), {})

    @contextmanager
    def phase(self, role: str) -> Iterator[None]:
        """Nobody but this role asks the server inside."""
        self.admin.config_resetstat()
        yield
        stats = self.admin.info("commandstats")
        found = {name.removeprefix("cmdstat_") for name, one in stats.items() if one["calls"]}
        self.asked.setdefault(role, set()).update(found - _OURS - _ALWAYS)

    # --- the roles ------------------------------------------------------------------------------------------------

    def api(self) -> FlaskClient:
        loaded = self.config("api")
        wiring.check_server(loaded)
        verifier = wiring.build_verifier(loaded)
        assert wiring.build_admin(loaded, verifier.store_is_up, lambda: False)
        return wiring.build_app(loaded, verifier).test_client()

    async def work(self, id: str) -> None:
        """A worker and a gateway, until this verification's send was reported and a webhook was asked."""
        simulator = Simulator(App(Settings(), Journal(None)).handle)
        await simulator.listen("127.0.0.1", self.gateway)
        loaded = self.config("worker")
        wiring.check_server(loaded)
        # Polled more often than anybody may configure.
        channels = tuple(one.model_copy(update={"report_interval": 0.05}) for one in loaded.channels)
        async with wiring.build_worker(loaded.model_copy(update={"channels": channels})) as crew:
            running = asyncio.create_task(crew.run(5))
            await until(lambda: self.is_over(id))
            crew.stop()
            await running
        await simulator.close()

    def is_over(self, id: str) -> bool:
        """As the server has it, read by the test itself."""
        [record] = self.admin.keys(f"*:v:{id}")
        hooks = self.admin.hlen("otp:{h:shop-events}:hooks")
        return bool(hooks) and self.admin.hget(record, RECORD["delivery"]) == b"delivered"

    async def take_over(self) -> None:
        """What a worker does with what a dead one left, and for what takes it long."""
        client = store.connect_async(self.url_of("worker"), 0.1)
        trips = store.trips_to(client, SCRIPTS)
        keyring = wiring.build_keyring(self.config("worker"))
        outboxes = [store.RedisOutbox(client, name, keyring, trips=trips) for name in ("w1", "w2")]
        await outboxes[0].open()
        entries = await outboxes[0].read(64, 50)
        await outboxes[0].renew(entries)
        assert len(await outboxes[1].reclaim(0, 64)) == len(entries) == 1
        await client.aclose()


@pytest.fixture
def place(real_server: Server, tmp_path: Path) -> Iterator[Place]:
    yield Place(real_server.client, real_server.url, tmp_path)
    real_server.client.acl_deluser(*(f"otp-{role}" for role in LINES))


@dataclass
class Caller:
    client: FlaskClient

    def post(self, path: str, status: int, body: dict[str, Any], **more: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {KEY.text}", **more}
        answer = self.client.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return dict(answer.get_json() or {})

    def start(self, number: str, status: int = 201, **more: Any) -> str:
        body = {"to": number, "purpose": "login", "client_ip": "203.0.113.7", "device": "d1", **more}
        return str(self.post("/v1/verifications", status, body, **{"Idempotency-Key": f"k{number}"})["id"])


def everything(place: Place, command: Command) -> None:
    """What each role does, one after the other, so that the server's counts are of one of them."""
    first, second, left = NUMBERS
    with place.phase("api"):
        caller = Caller(place.api())
        caller.start(left)
    with place.phase("worker"):
        asyncio.run(place.take_over())
    with place.phase("api"):
        ids = [caller.start(number) for number in (first, second)]
        push = json.dumps({"statusbox": [{"mobile": first, "taskid": "7", "status": "10"}]}).encode()
        signed = sign([PUSH_SECRET], "m1", int(time.time()), push)
        assert caller.client.post("/reports/backup", data=push, headers=signed).status_code == 200
    with place.phase("worker"):
        asyncio.run(place.work(ids[0]))
        metrics(place.config("worker"))
    with place.phase("api"):
        api_calls(place, caller, ids)
    with place.phase("operator"):
        operator_calls(place, command, first)


def api_calls(place: Place, caller: Caller, ids: list[str]) -> None:
    client, config = store.connect(place.url_of("api")), place.config("api")
    right = code_of(place, config, ids[0])
    wrong = f"{(int(right) + 1) % 10**6:06d}"
    for code, status in ((wrong, 422), (right, 200)):
        said = caller.post(f"/v1/verifications/{ids[0]}/check", status, {"code": code, "device": "d1"})
    proof = {"token": said["token"], "purpose": "login", "to": NUMBERS[0], "consume": True}
    caller.post("/v1/tokens/verify", 200, proof)
    caller.post(f"/v1/verifications/{ids[1]}/resend", 429, {})
    caller.post("/v1/verifications/lookup", 200, {"to": NUMBERS[1]})
    headers = {"Authorization": f"Bearer {KEY.text}"}
    assert caller.client.get(f"/v1/verifications/{ids[0]}", headers=headers).status_code == 200
    assert caller.client.delete(f"/v1/verifications/{ids[1]}", headers=headers).status_code == 200
    in_session = {"to": NUMBERS[0], "purpose": "login", "session": "s1", "client_ip": "203.0.113.7"}
    caller.post("/v1/verifications", 201, in_session)
    # A CAPTCHA, and a start that waits for its first outcome.
    spent = store.RedisSpentTokens(client)
    assert spent.spend("solved", "nonce") == spent.spender("solved") == "nonce"
    parsed = wiring.build_keyring(config).parse_id(ids[1])
    assert parsed is not None
    store.RedisStore(client, lane=store.lane_to(client)).await_outcome(parsed, 0.02)
    metrics(config)


def metrics(config: Config) -> None:
    pages = Client(wiring.build_admin(config, wiring.build_verifier(config).store_is_up, lambda: False))
    assert pages.get("/readyz").json == {"status": "ok", "redis": "up"}
    assert b"otp_queue_depth" in pages.get("/metrics").data


def code_of(place: Place, config: Config, id: str) -> str:
    """As a person reads it; asked by the test itself, in no phase of a role."""
    parsed = wiring.build_keyring(config).parse_id(id)
    assert parsed is not None
    record = Keys("otp").record(parsed.partition, id)
    kid, seed, length = place.admin.hmget(record, *(RECORD[name] for name in ("kid", "seed", "code_length")))
    return wiring.build_keyring(config).code(kid.decode(), id, seed, 0, int(length))


def operator_calls(place: Place, command: Command, number: str) -> None:
    for typed in (
        "doctor", "status", f"trace {number}", "channels pause primary", "channels resume primary",
        "sends pause --country CN", "sends resume", f"limits show {number}", f"limits clear {number}",
        "limits lift CN", f"limits lift {number}", f"recipients suppress {number}", f"recipients unsuppress {number}",
        f"recipients export {number}", "keys list", f"keys revoke {KEY.id}", f"keys revoke --undo {KEY.id}",
        f"recipients erase {number}", "audit", "audit verify",
    ):  # fmt: skip
        command(*typed.split(), "--config", str(place.file("operator")))
        # The gateway is away by now, and `doctor` and `status` say so.
        assert command.status == 0 or typed in {"doctor", "status"}, command.err


def test_each_role_does_all_that_it_does_and_needs_all_that_it_may(place: Place, command: Command) -> None:
    everything(place, command)
    assert place.admin.acl_log() == []
    for role, asked in place.asked.items():
        needed = asked | in_scripts(role)
        missing, unused = needed - allowed(role), allowed(role) - needed - set(NOT_MET)
        assert not missing, f"docs/deploy.md, user otp-{role}: add {' '.join(f'+{one}' for one in sorted(missing))}"
        assert not unused, f"docs/deploy.md, user otp-{role}: nobody asks {' '.join(sorted(unused))}"


def test_one_user_for_all_may_do_what_each_may() -> None:
    [line] = re.findall(r"^user otp (.+)$", PAGE, re.MULTILINE)
    words = line.split()
    assert words == [*LINES["api"][: words.index("-@all") + 1], *sorted(set().union(*map(allowed_words, LINES)))]


def allowed_words(role: str) -> set[str]:
    return {f"+{word}" for word in allowed(role)}


def test_every_script_is_somebodys() -> None:
    assert set().union(*SCRIPTS_OF.values()) == set(SCRIPTS)


@pytest.mark.parametrize("role", LINES)
def test_a_user_reaches_no_key_of_others_and_no_channel(role: str, place: Place) -> None:
    client = redis.Redis.from_url(place.url_of(role))
    for words in (
        ("GET", "other:key"),
        ("PUBLISH", "otp:news", "1"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("KEYS", "*"),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*words)
    with pytest.raises(redis.exceptions.ResponseError, match="permission"):
        client.eval("return redis.call('SET', 'other:key', 1)", 0)
    client.close()
