"""The whole service on a cluster: gateways, API and workers, each a process, and callers who type what reached them."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import secrets
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from redis.exceptions import RedisError

from otp_service import config as configuration
from otp_service import wiring
from otp_service.api_keys import new_key
from otp_service.errors import AlreadyApproved, OtpServiceError
from otp_service.keyring import PARTITIONS
from otp_service.verification import Verification
from otp_service.verifier import CheckRequest, Verifier
from tests.cli.processes import command, environment, free_port, until
from tests.cluster.nodes import Cluster, slot_of
from tests.faults.checker import Caps, Checker, Left, read_log
from tests.faults.installation import CHANNEL, CHANNELS, DEADLINE, SHOP, UNLIMITED
from tests.faults.load import calling
from tests.world import KEYS

_CONFIG = """
[service]
secret_keys = ["a:{secret}"]
fingerprint_key = "{fingerprint}"
default_region = "CN"
bind = "127.0.0.1:{api}"
admin_bind = "127.0.0.1:{admin}"
[redis]
url = "{redis}"
durability = "{durability}"
{limits}[delivery]
admin_bind = "127.0.0.1:{worker_admin}"
[[clients]]
name = "shop"
key_hashes = ["{key_hash}"]
"""
CODE_WITHIN = 40.0
"""Seconds in which an SMS comes, also where its entry was left and is taken over."""


class Plant:
    """`with` begins it, and leaves nothing of it behind; every process writes its log into `folder`."""

    def __init__(self, folder: Path, cluster: Cluster, durability: str = "async", apis: int = 1, workers: int = 2):
        self.folder, self.cluster = folder, cluster
        self._counts = apis, workers
        gateway = free_port()
        self._gateway_url, self._gateway_port = f"http://127.0.0.1:{gateway}/", gateway
        key = new_key()
        self.key = key.text
        secret, fingerprint = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
        self._words: dict[str, object] = {"secret": secret, "fingerprint": fingerprint, "key_hash": key.hash}
        self._words |= {"redis": cluster.url, "durability": durability, "limits": UNLIMITED}
        self.apis: list[str] = []
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._orders: dict[str, tuple[list[str], str]] = {}
        """How each worker is begun, and where it says that it lives."""
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Plant:
        with contextlib.ExitStack() as stack:
            log = str(self.folder / "gateways.log")
            simulator = ["-m", "otp_service.simulator", "--port", str(self._gateway_port), "--log", log]
            self._begin(stack, "gateway", [command()[0], *simulator], f"{self._gateway_url}")
            with httpx.Client(base_url=self._gateway_url, trust_env=False) as gateway:
                for name in CHANNELS:
                    account = {"protocol": "sms_aspx", "number_faults": False, "balance": 100_000_000}
                    assert gateway.put(f"/api/accounts/{name}", json=account).status_code == 200
            apis, workers = self._counts
            for n in range(apis):
                port = free_port()
                config = self._config(f"api{n}", api=port)
                self._begin(
                    stack, f"api{n}", command("serve", "--config", str(config)), f"http://127.0.0.1:{port}/livez"
                )
                self.apis.append(f"http://127.0.0.1:{port}")
            for n in range(workers):
                port = free_port()
                config = self._config(f"worker{n}", worker_admin=port)
                live = f"http://127.0.0.1:{port}/livez"
                self._orders[f"worker{n}"] = command("worker", "--config", str(config)), live
                self._workers[f"worker{n}"] = self._begin(stack, f"worker{n}", *self._orders[f"worker{n}"])
            self.verifier: Verifier = wiring.build_verifier(configuration.load(config, {}))
            self.keyring = wiring.build_keyring(configuration.load(config, {}))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def replace_worker(self, name: str) -> None:
        """As kill -9 does, and then another in its place."""
        self._workers[name].kill()
        self._workers[name].wait()
        self._workers[name] = self._begin(self._stack, name, *self._orders[name])

    @property
    def workers(self) -> list[str]:
        return list(self._workers)

    def _begin(self, stack: contextlib.ExitStack, name: str, words: list[str], live: str) -> subprocess.Popen[bytes]:
        log = stack.enter_context((self.folder / f"{name}.process.log").open("ab"))
        process = stack.enter_context(
            subprocess.Popen(words, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        )
        stack.callback(_end, process)
        until(lambda: _is_live(live), f"{name} is ready")
        return process

    def _config(self, name: str, **ports: int) -> Path:
        words = {"api": free_port(), "admin": free_port(), "worker_admin": free_port(), **self._words, **ports}
        channels = [CHANNEL.format(name=one, url=self._gateway_url, deadline=DEADLINE) for one in CHANNELS]
        path = self.folder / f"{name}.toml"
        path.write_text(_CONFIG.format(**words) + "".join(channels), "utf-8")
        path.chmod(0o600)
        return path

    # --- the end --------------------------------------------------------------------------------------------------

    def left(self) -> Left:
        entries = pending = later = 0
        for n in range(PARTITIONS):
            client = self.cluster.owner_of(slot_of(KEYS.outbox(n))).client
            entries += client.xlen(KEYS.outbox(n))
            later += client.zcard(KEYS.later(n))
            if client.exists(KEYS.outbox(n)):
                pending += sum(group["pending"] for group in client.xinfo_groups(KEYS.outbox(n)))
        return Left(entries, pending, later)

    def until_nothing_is_left(self) -> None:
        until(lambda: self.left() == Left(), "all is done")

    def process_logs(self) -> str:
        return "".join(path.read_text("utf-8", "replace") for path in self.folder.glob("*.process.log"))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()


def _is_live(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, trust_env=False, timeout=2).status_code == 200
    return False


@dataclass
class Callers:
    """People, each on a thread: one starts, waits for the SMS, types a wrong code and then the right one."""

    plant: Plant
    count: int = 8
    lines: list[dict[str, Any]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    strangers: list[str] = field(default_factory=list)
    """Answers that no fault may bring about."""
    approved: dict[str, float] = field(default_factory=dict)
    """When they were told of it (monotonic)."""
    codes: dict[str, str] = field(default_factory=dict)
    """By verification."""
    without_sms: list[str] = field(default_factory=list)
    went: list[tuple[float, int]] = field(default_factory=list)
    """Answered starts: the moment (monotonic), and the partition."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _over: threading.Event = field(default_factory=threading.Event)
    _inbox: dict[str, str] = field(default_factory=dict)
    _read: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def running(self) -> Iterator[Callers]:
        with calling(self.count, self._call, self._over):
            yield self

    def until_more(self, approvals: int) -> None:
        before = len(self.approved)
        until(lambda: len(self.approved) >= before + approvals, "they are approved")

    def _call(self) -> None:
        with httpx.Client(trust_env=False, timeout=20) as http:
            while not self._over.is_set():
                n = next(self._numbers)
                # Each has a neighbourhood of its own, so all partitions have their share.
                self._one(http, f"138{n % 10000:04d}{n // 10000:04d}")

    def _one(self, http: httpx.Client, mobile: str) -> None:
        key = f"s{mobile}"
        answer = self._until_told(http, "/v1/verifications", {"to": f"+86{mobile}", "purpose": "login"}, key)
        if answer is None or answer.status_code != 201:
            self._strange(answer, 201)
            return
        id, now = answer.json()["id"], time.monotonic()
        parsed = self.plant.keyring.parse_id(id)
        assert parsed
        self.went.append((now, parsed.partition))
        self._note("start", id=id, send=1, mobile=mobile, dies=now + 300)
        code = self._sms(mobile)
        if not code:
            self.without_sms.append(id)
            return
        self.codes[id] = code
        self._check(http, id, f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}", f"w{id}")
        self._check(http, id, code, id)

    def _check(self, http: httpx.Client, id: str, code: str, key: str) -> None:
        answer = self._until_told(http, f"/v1/verifications/{id}/check", {"code": code}, key, id)
        if answer is None:
            return
        said, is_replayed = answer.json(), "idempotent-replayed" in answer.headers
        is_wrong = answer.status_code == 422 and "code_mismatch" in answer.text
        told = "approved" if answer.status_code == 200 else "mismatch" if is_wrong else "ended"
        self._note("check", id=id, key=key, answer=told, token=said.get("token", ""), replayed=is_replayed)
        if told == "approved":
            self.approved[id] = time.monotonic()
        if told == "ended":
            self._strange(answer, 200)

    def _until_told(
        self, http: httpx.Client, path: str, body: dict[str, str], key: str, id: str = ""
    ) -> httpx.Response | None:
        """The first answer that is not 503: until then asked again with its key."""
        headers = {"Authorization": f"Bearer {self.plant.key}", "Idempotency-Key": key}
        for n in itertools.count():
            answer = http.post(self.plant.apis[n % len(self.plant.apis)] + path, json=body, headers=headers)
            self.statuses[answer.status_code] += 1
            if answer.status_code != 503:
                return answer
            if id:
                self._note("check", id=id, key=key, answer="error", token="", replayed=False)
            if self._over.wait(0.02) and n > 500:
                return None
        return None

    def _strange(self, answer: httpx.Response | None, expected: int) -> None:
        if answer is not None and answer.status_code != expected:
            self.strangers.append(f"{answer.status_code} {answer.request.url.path}: {answer.text[:200]}")

    def _sms(self, mobile: str) -> str:
        end = time.monotonic() + CODE_WITHIN
        while time.monotonic() < end:
            self._look()
            if code := self._inbox.get(mobile):
                return code
            time.sleep(0.02)
        return ""

    def _look(self) -> None:
        """Read on in the gateways' log."""
        with self._lock, (self.plant.folder / "gateways.log").open("rb") as log:
            log.seek(self._read)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                said = json.loads(line)
                if said["event"] == "accepted":
                    self._inbox[said["mobile"]] = said["code"]

    def _note(self, event: str, **facts: Any) -> None:
        self.lines.append({"event": event, **facts})

    # --- the end --------------------------------------------------------------------------------------------------

    def finals(self) -> dict[str, Verification]:
        found = {}
        for line in list(self.lines):
            if line["event"] == "start":
                with contextlib.suppress(OtpServiceError):
                    found[line["id"]] = self.plant.verifier.get(SHOP, line["id"])
        return found

    def checker(self) -> Checker:
        gateways = read_log(self.plant.folder / "gateways.log")
        return Checker(gateways, self.lines, self.finals(), self.plant.left(), Caps(grace=DEADLINE))

    def end_all(self) -> None:
        """Whoever has not been approved gives up."""
        for line in list(self.lines):
            if line["event"] == "start" and line["id"] not in self.approved:
                with contextlib.suppress(OtpServiceError):
                    self.plant.verifier.cancel(SHOP, line["id"])

    def undone(self) -> list[str]:
        """Of what was approved: what is not so any more. Each code is typed again."""
        return [f"{id}: {said}" for id in self.approved if (said := self._typed_again(id))]

    def _typed_again(self, id: str) -> str:
        try:
            self.plant.verifier.check(SHOP, id, CheckRequest(code=self.codes[id]))
        except AlreadyApproved:
            return ""
        except OtpServiceError as error:
            return repr(error)
        return "its code was approved again"


def errors_of(cluster: Cluster) -> Counter[str]:
    """What the nodes have refused, by its kind."""
    found: Counter[str] = Counter()
    for node in cluster.nodes:
        with contextlib.suppress(RedisError):
            for name, said in node.client.info("errorstats").items():
                found[name.removeprefix("errorstat_")] += int(said["count"])
    return found
