"""What the attacks are made on: two API processes on one real server, and a world that shares their secrets."""

from __future__ import annotations

import base64
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from otp_service.api_keys import new_key
from otp_service.cli.addresses import is_free
from otp_service.config.fields import Address
from otp_service.keyring import Keyring
from tests.attacks.wire import Answer, post, release_together
from tests.cli.processes import command, environment, free_port, until
from tests.world import UNLIMITED, Server, World

_CONFIG = """
[service]
secret_keys = ["a:{secret}"]
fingerprint_key = "{fingerprint}"
default_region = "CN"
[redis]
url = "{redis}"
[limits]
recipient = []
failures = []
client_ip = []
prefix = []
disable_after = 0
spray_brake = false
[[channels]]
name = "primary"
protocol = "sms_aspx"
url = "http://127.0.0.1:9/sms.aspx"
account = "demo"
password = "demo"
signature = "今信科技"
[[clients]]
name = "shop"
key_hashes = ["{shop}"]
[[clients]]
name = "bank"
key_hashes = ["{bank}"]
"""
"""No worker runs and the gateway's port is closed: what is asked here is asked of the API alone."""


@dataclass(frozen=True, slots=True)
class Apis:
    """Processes that share a Redis."""

    addresses: tuple[tuple[str, int], ...]
    keyring: Keyring
    shop: str
    bank: str
    """API keys."""

    def guess_together(self, id: str, codes: list[str]) -> list[Answer]:
        path = f"/v1/verifications/{id}/check"
        return release_together(self.addresses, [post(path, self.shop, {"code": code}) for code in codes])


@pytest.fixture(scope="session")
def apis(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apis]:
    folder = tmp_path_factory.mktemp("apis")
    shop, bank = new_key(), new_key()
    keys = secrets.token_bytes(32), secrets.token_bytes(32)
    secret, fingerprint = (base64.b64encode(key).decode() for key in keys)
    config = folder / "otp.toml"
    config.write_text(
        _CONFIG.format(secret=secret, fingerprint=fingerprint, redis=valkey_url, shop=shop.hash, bank=bank.hash),
        "utf-8",
    )
    config.chmod(0o600)
    with ExitStack() as stack:
        addresses = [_serve(stack, config) for _ in range(2)]
        for address in addresses:
            until(lambda address=address: not is_free(address), "an API listens")
        listening = tuple((address.host, address.port) for address in addresses)
        yield Apis(listening, Keyring([("a", keys[0])], keys[1]), shop.text, bank.text)


def _serve(stack: ExitStack, config: Path) -> Address:
    """Begun, and not yet waited for."""
    address, admin = Address("127.0.0.1", free_port()), Address("127.0.0.1", free_port())
    environ = environment(OTP_SERVICE__BIND=str(address), OTP_SERVICE__ADMIN_BIND=str(admin))
    arguments = command("serve", "--config", str(config))
    # Nobody reads what they log: a pipe would be full after some hundred lines, and stop them.
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = stack.enter_context(subprocess.Popen(arguments, env=environ, **silent))
    stack.callback(process.kill)
    return address


@pytest.fixture
def unlimited(real_server: Server, apis: Apis) -> World:
    """The same Redis as the APIs' and the same secrets: it knows the codes. Nothing but attempts is counted."""
    return World(real_server, UNLIMITED, cooldown=(0,)).with_keyring(apis.keyring)
