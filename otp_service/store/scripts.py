"""The scripts: Lua files beside this module, each behind the preludes that it uses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

_PRELUDES = {
    "start": ("common", "windows", "queue", "sends"),
    "resend": ("common", "windows", "queue", "sends"),
    "check": ("common", "windows"),
    "charge": ("common", "windows"),
    "take": ("common", "windows"),
    "record": ("common", "queue", "reports"),
    "settle": ("common", "reports"),
    "report": ("common", "queue", "reports"),
    "wake": ("common", "queue"),
}
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
    "take",
    "record",
    "settle",
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
    text = "\n".join(_read(part) for part in (*_PRELUDES.get(name, ("common",)), name))
    return Script(text, Script.sha_of(text))


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")


SCRIPTS: Mapping[str, Script] = {name: _script(name) for name in _NAMES}
