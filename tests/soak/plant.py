"""The whole service: Valkey, gateways, API and workers, each a process that can be stopped, killed and begun again."""

from __future__ import annotations

import base64
import operator
import os
import re
import resource
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import astuple, dataclass, field
from functools import partial
from pathlib import Path

import httpx
import redis

from otp_service import config as configuration
from otp_service import store, wiring
from otp_service.api_keys import new_key
from otp_service.cli.addresses import is_free
from otp_service.config.fields import Address
from otp_service.store.fields import RECORD
from otp_service.verifier import Verifier
from otp_service.web.headroom import SENDS
from tests.cli.processes import command, environment, free_port, server_program, until
from tests.faults.installation import CHANNEL, CHANNELS, DEADLINE, UNLIMITED
from tests.world import KEYS

HOST = "127.0.0.1"
_CONFIG = """
[service]
secret_keys = ["a:{secret}"]
fingerprint_key = "{fingerprint}"
default_region = "CN"
bind = "127.0.0.1:{api}"
admin_bind = "127.0.0.1:{admin}"
concurrency = {concurrency}
[redis]
url = "{redis}"
{limits}[delivery]
admin_bind = "127.0.0.1:{worker_admin}"
outbox_max = 1000000
[[clients]]
name = "shop"
key_hashes = ["{key_hash}"]
"""


@dataclass
class Part:
    """A process that can be begun again as it was."""

    name: str
    words: Sequence[str]
    ready: Callable[[], bool]
    files: int | None = None
    """The most files that it may open."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def begin(self, wait: bool = True) -> None:
        def lower() -> None:
            if self.files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, self.files))

        nowhere = subprocess.DEVNULL
        self.process = subprocess.Popen(
            self.words, env=environment(), stdin=nowhere, stdout=nowhere, stderr=nowhere, preexec_fn=lower
        )
        if wait:
            until(self.ready, f"{self.name} is ready")

    def tell(self, number: signal.Signals) -> None:
        """To it and its children, as far as they live."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Waits for the end."""
        if self.process is None:
            return
        if number is signal.SIGTERM:
            self.process.send_signal(number)
        else:
            self.tell(number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.tell(signal.SIGKILL)
            self.process.wait(30)

    def pids(self) -> list[int]:
        """Its own and its children's: granian serves in a process of its own."""
        if self.process is None or self.process.poll() is not None:
            return []
        return [self.process.pid, *_children(self.process.pid)]

    def burden(self) -> Burden:
        return sum((Burden.of(pid) for pid in self.pids()), Burden())


@dataclass(frozen=True, slots=True)
class Burden:
    """What processes hold at a moment."""

    rss: int = 0
    """Bytes."""
    threads: int = 0
    files: int = 0
    sockets: int = 0
    """Of the files."""

    @classmethod
    def of(cls, pid: int) -> Burden:
        """Nothing of one that is gone."""
        try:
            said = Path(f"/proc/{pid}/status").read_text()
            links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            return cls()
        numbers = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", said, re.MULTILINE))
        sockets = sum(link.startswith("socket:") for link in links)
        return cls(int(numbers.get("VmRSS", 0)) * 1024, int(numbers["Threads"]), len(links), sockets)

    def __add__(self, other: Burden) -> Burden:
        return Burden(*map(operator.add, astuple(self), astuple(other)))


def _children(pid: int) -> list[int]:
    direct: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            direct += map(int, (thread / "children").read_text().split())
    return direct + [child for one in direct for child in _children(one)]


class Plant:
    """All parts, from `folder`; `with` begins them, and leaves nothing of them behind.

    `proxy_url`, set before, is where the API and the workers are told that Redis is.
    """

    def __init__(
        self, folder: Path, concurrency: int = SENDS, workers: int = 1, apis: int = 1, files: int | None = None
    ) -> None:
        self.folder, key = folder, new_key()
        self.key, self.redis_port, gateway = key.text, free_port(), free_port()
        self.gateway_url = f"http://{HOST}:{gateway}/"
        self.proxy_url = self.redis_url = f"redis://{HOST}:{self.redis_port}/0"
        self._stack = ExitStack()
        self._secrets = [base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2)]
        self._key_hash, self._concurrency, self._files = key.hash, concurrency, files
        self.valkey = self._valkey()
        words = [sys.executable, "-m", "otp_service.simulator", "--port", str(gateway), "--log"]
        self.gateway = Part("gateway", [*words, str(folder / "gateways.log")], lambda: _listens(gateway))
        self.ports = [free_port() for _ in range(apis)]
        self.admin_ports = [free_port() for _ in range(apis)]
        self._counts = apis, workers
        self.apis: list[Part] = []
        self.workers: list[Part] = []

    def __enter__(self) -> Plant:
        with ExitStack() as stack:
            stack.callback(self._end)
            self.valkey.begin()
            self.gateway.begin()
            self._accounts()
            apis, workers = self._counts
            for nth in range(apis):
                config = self._config(f"api{nth}", self.ports[nth], self.admin_ports[nth])
                live = partial(_is_live, self.ports[nth])
                self.apis.append(Part(f"api{nth}", command("serve", "--config", str(config)), live, self._files))
            for nth in range(workers):
                admin = free_port()
                config = self._config(f"worker{nth}", free_port(), free_port(), admin)
                self.workers.append(
                    Part(f"worker{nth}", command("worker", "--config", str(config)), partial(_is_live, admin))
                )
            for part in (*self.apis, *self.workers):
                part.begin(wait=False)
            for part in (*self.apis, *self.workers):
                until(part.ready, f"{part.name} is ready")
            self.redis: redis.Redis = store.connect(self.redis_url)
            self.loaded = configuration.load(self._config("own", 1, 2, redis_url=self.redis_url), {})
            self.keyring = wiring.build_keyring(self.loaded)
            self.verifier: Verifier = wiring.build_verifier(self.loaded)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _end(self) -> None:
        for part in (*self.workers, *self.apis, self.gateway, self.valkey):
            part.tell(signal.SIGCONT)
            part.end(signal.SIGKILL)

    def parts(self) -> list[Part]:
        return [*self.apis, *self.workers, self.gateway, self.valkey]

    def code_of(self, id: str) -> str:
        """As a worker derives it."""
        parsed = self.keyring.parse_id(id)
        assert parsed is not None
        record = KEYS.record(parsed.partition, id)
        kid, seed, length = self.redis.hmget(record, *(RECORD[name] for name in ("kid", "seed", "code_length")))
        return self.keyring.code(kid.decode(), id, seed, 0, int(length))

    # --- how they are made ----------------------------------------------------------------------------------------

    def _valkey(self) -> Part:
        words = [server_program(), "--port", str(self.redis_port), "--bind", HOST, "--save", ""]
        words += ["--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "always"]
        return Part("redis", words, lambda: _answers(self.redis_port))

    def _accounts(self) -> None:
        with httpx.Client(base_url=self.gateway_url, trust_env=False) as gateway:
            for name in CHANNELS:
                account = {"protocol": "sms_aspx", "number_faults": False, "balance": 100_000_000}
                assert gateway.put(f"/api/accounts/{name}", json=account).status_code == 200

    def _config(self, name: str, api: int, admin: int, worker_admin: int = 1, redis_url: str = "") -> Path:
        words = _CONFIG.format(
            secret=self._secrets[0],
            fingerprint=self._secrets[1],
            redis=redis_url or self.proxy_url,
            limits=UNLIMITED,
            api=api,
            admin=admin,
            worker_admin=worker_admin,
            key_hash=self._key_hash,
            concurrency=self._concurrency,
        )
        channels = [CHANNEL.format(name=one, url=self.gateway_url, deadline=DEADLINE) for one in CHANNELS]
        path = self.folder / f"{name}.toml"
        path.write_text(words + "".join(channels), "utf-8")
        path.chmod(0o600)
        return path


def _listens(port: int) -> bool:
    return not is_free(Address(HOST, port))


def _answers(port: int) -> bool:
    if not _listens(port):
        return False
    with redis.Redis(port=port, socket_timeout=1) as client, suppress(redis.RedisError):
        return bool(client.ping())
    return False


def _is_live(port: int) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://{HOST}:{port}/livez", trust_env=False, timeout=2).status_code == 200
    return False
