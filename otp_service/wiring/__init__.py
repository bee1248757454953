"""The one place that knows every adapter: from a configuration to what runs.

What only a worker is made of is imported when somebody asks for it: an API process holds none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from otp_service.wiring.admin import build_admin
from otp_service.wiring.api import app, build_app, build_keyring, build_verifier
from otp_service.wiring.audit import Doing, acting, acts, audit_trail, examine_audit, target_of
from otp_service.wiring.callers import build_client_keys, revocations
from otp_service.wiring.challenge import build_challenge, build_challenger
from otp_service.wiring.channels import build_channel, channel_settings
from otp_service.wiring.held import Pumped, lift, pumped
from otp_service.wiring.limits import Tallies, clear, tallies
from otp_service.wiring.operator import Traced, Trail, full_limits, look, look_at_hooks, operations, trace
from otp_service.wiring.privacy import Dossier, Exported, erase_recipient, export_recipient, suppress_recipient
from otp_service.wiring.server import all_lost, ask_server, check_server, check_start, refuse_unfit

if TYPE_CHECKING:
    from otp_service.wiring.dispatcher import build_dispatcher, build_event_log, hook_states
    from otp_service.wiring.worker import build_voices, build_worker

__all__ = [
    "Doing",
    "Dossier",
    "Exported",
    "Pumped",
    "Tallies",
    "Traced",
    "Trail",
    "acting",
    "acts",
    "all_lost",
    "app",
    "ask_server",
    "audit_trail",
    "build_admin",
    "build_app",
    "build_challenge",
    "build_challenger",
    "build_channel",
    "build_client_keys",
    "build_dispatcher",
    "build_event_log",
    "build_keyring",
    "build_verifier",
    "build_voices",
    "build_worker",
    "channel_settings",
    "check_server",
    "check_start",
    "clear",
    "erase_recipient",
    "examine_audit",
    "export_recipient",
    "full_limits",
    "hook_states",
    "lift",
    "look",
    "look_at_hooks",
    "operations",
    "pumped",
    "refuse_unfit",
    "revocations",
    "suppress_recipient",
    "tallies",
    "target_of",
    "trace",
]

_OF_A_WORKER = {
    "build_dispatcher": "dispatcher",
    "build_event_log": "dispatcher",
    "build_voices": "worker",
    "build_worker": "worker",
    "hook_states": "dispatcher",
}


def __getattr__(name: str) -> Any:
    if module := _OF_A_WORKER.get(name):
        return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
