"""The scripts: Lua files beside this module, each behind the preludes that it uses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from otp_service.retention import Retention
from otp_service.store.fields import RECORD

_PRELUDES = {
    "start": ("common", "verifications", "nonces", "windows", "queue", "pumping", "guard", "scopes", "sends"),
    "resend": ("common", "verifications", "nonces", "windows", "queue", "pumping", "guard", "scopes", "sends"),
    "check": ("common", "verifications", "nonces", "windows", "pumping", "guard"),
    "charge": ("common", "windows"),
    "pools": ("common", "pumping"),
    "take": ("common", "verifications", "windows", "tries"),
    "record": ("common", "verifications", "queue", "tries", "reports"),
    "settle": ("common", "verifications", "windows", "tries", "reports"),
    "tell": ("common", "verifications", "tries", "reports"),
    "report": ("common", "verifications", "queue", "tries", "reports"),
    "wake": ("common", "verifications", "queue", "tries"),
    "cancel": ("common", "verifications"),
    "view": ("common", "verifications"),
    "token": ("common", "verifications"),
    "erase": ("common", "verifications", "scopes"),
    "cool": ("common", "scopes"),
}
_RETAINED = {"TOMBSTONE": "tombstone", "TRIES": "tries", "KNOWN": "approved"}
"""Constants of the preludes that a deployment may set, and what `Retention` calls them."""
_FIELD = re.compile(r"\bF\.([a-z_]+)")
_NAMES = (
    "start",
    "resend",
    "check",
    "cancel",
    "view",
    "token",
    "claim",
    "keep",
    "release",
    "charge",
    "spend",
    "unspend",
    "brake",
    "pools",
    "take",
    "record",
    "settle",
    "tell",
    "wake",
    "report",
    "note",
    "probe",
    "standing",
    "credit",
    "beat",
    "pause_channel",
    "pause_sends",
    "revoke",
    "now",
    "lease",
    "balance",
    "put_off",
    "bring_back",
    "hook_add",
    "hook_claim",
    "hook_settle",
    "hook_state",
    "audit_tail",
    "audit_add",
    "erase",
    "hook_drop",
    "cool",
)


@dataclass(frozen=True, slots=True)
class Script:
    text: str
    sha: str
    """What EVALSHA wants."""

    @staticmethod
    def sha_of(text: str) -> str:
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _script(name: str) -> Script:
    text = "\n".join(source(part) for part in (*_PRELUDES.get(name, ("common",)), name))
    return Script(text, Script.sha_of(text))


def source(name: str) -> str:
    """What one file says, with the names that fields have in Redis."""
    text = resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")
    return _FIELD.sub(lambda found: f"'{RECORD[found[1]]}'", text)


SCRIPTS: Mapping[str, Script] = {name: _script(name) for name in _NAMES}


def retaining(retention: Retention, fenced: bool = False) -> Mapping[str, Script]:
    """The scripts as they remember things for so long, and with `fenced` heed `redis.fence`.

    Two settings are two scripts to Redis; neither is in the way.
    """
    return {name: _with(script.text, retention, fenced) for name, script in SCRIPTS.items()}


def _with(text: str, retention: Retention, fenced: bool) -> Script:
    if fenced:
        text = text.replace("local FENCED = false\n", source("fence"))
    for constant, kept in _RETAINED.items():
        text = re.sub(
            rf"^local {constant} = \d+$", f"local {constant} = {getattr(retention, kept)}", text, flags=re.MULTILINE
        )
    return Script(text, Script.sha_of(text))
