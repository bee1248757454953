"""What the demo configures by itself, and how a file of yours lies on top of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from otp_service import config
from otp_service.api_keys import new_key
from otp_service.cli.private_files import write_private
from otp_service.cli.secrets import new_key_id, new_secret
from otp_service.config.fields import Address

CLIENT = "demo"
_BACKUP_ACCOUNT, _PASSWORD = "backup", "demo"
BACKUP = {_BACKUP_ACCOUNT: {"password": _PASSWORD, "profile": "classic"}}
"""A second account at the simulator: a fault set on one leaves the other well, and fail-over can be seen."""

HOST = "127.0.0.1"
REPORT_SECONDS = 2
"""The simulator reports after a second: who looks on sees it soon."""
SIGNATURE = "今信科技"


@dataclass(frozen=True, slots=True)
class DemoSecrets:
    secret_key: str
    fingerprint_key: str
    key: str
    key_hash: str

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Those of an earlier demo with this data directory, or new ones."""
        path = folder / "secrets.json"
        if path.exists():
            return cls(**json.loads(path.read_text("utf-8")))
        key = new_key()
        made = cls(f"{new_key_id()}:{new_secret()}", new_secret(), key.text, key.hash)
        write_private(path, json.dumps(asdict(made)))
        return made

    def __repr__(self) -> str:
        return "DemoSecrets(…)"


def demo_tables(secrets: DemoSecrets, api: Address, admin: Address, inbox: Address, redis_url: str) -> config.Tables:
    gateway: config.Tables = {
        "protocol": "sms_aspx",
        "url": f"http://{inbox}/sms.aspx",
        "signature": SIGNATURE,
        "password": _PASSWORD,
    }
    gateway |= {"reports": "poll", "report_interval": REPORT_SECONDS}
    return {
        "service": {
            "bind": str(api),
            "admin_bind": str(admin),
            "secret_keys": [secrets.secret_key],
            "fingerprint_key": secrets.fingerprint_key,
            "default_region": "CN",
        },
        "redis": {"url": redis_url},
        "routing": {"regions": ["*"]},
        "delivery": {"drain_seconds": 3},
        "channels": [
            {**gateway, "name": "primary", "profile": "seed", "userid": "12", "account": "demo"},
            {**gateway, "name": "backup", "profile": "classic", "account": _BACKUP_ACCOUNT},
        ],
        "clients": [{"name": CLIENT, "key_hashes": [secrets.key_hash]}],
    }


def on_top(own: config.Tables, given: config.Tables) -> config.Tables:
    """Tables merge key by key, channels replace the demo's, clients are added to it."""
    merged = config.merge(own, given)
    clients: Any = given.get("clients", [])
    if isinstance(clients, list):
        merged["clients"] = [*own["clients"], *clients]
    purposes = merged.get("purposes")
    if isinstance(purposes, dict):
        # The demo's key is for trying what the file configures.
        merged["clients"][0] = {
            **merged["clients"][0],
            "purposes": [
                *config.BUILT_IN_PURPOSES,
                *(name for name in purposes if name not in config.BUILT_IN_PURPOSES),
            ],
        }
    return merged
