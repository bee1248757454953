"""Events as they stand in Redis: as a stream's entry, and as JSON while they wait for a webhook."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping

from otp_service.events import OF_VERIFICATIONS, TYPES, Event, Value
from otp_service.store.rows import text

_WORD = re.compile(r"[a-z][a-z0-9_-]{0,63}")
"""Names of channels and reasons. Anything else is a gateway's own word, which may hold a number."""


def event_of(stream: str, entry: str, fields: Mapping[bytes, bytes]) -> Event | None:
    """None for an entry that is no event of this version."""
    try:
        return _read(stream, entry, {text(name): value for name, value in fields.items()})
    except (KeyError, ValueError):
        return None


def _read(stream: str, entry: str, fields: Mapping[str, bytes]) -> Event:
    type = text(fields["type"])
    at = int(fields.get("at") or entry.partition("-")[0])
    if type not in TYPES:
        raise ValueError(type)
    if type not in OF_VERIFICATIONS:
        return Event(_event_id(stream, entry, ""), type, at, "", json.loads(fields["data"]))
    id = text(fields["id"])
    data: dict[str, Value] = {
        "purpose": text(fields["purpose"]),
        "send": int(fields.get("send") or 0) or None,
        "channel": _word(fields.get("channel")),
        "reason": _word(fields.get("reason")),
    }
    client, kid = text(fields["client"]), text(fields["kid"])
    return Event(_event_id(stream, entry, id), type, at, client, data, id, kid, fields["mask"])


def _word(value: bytes | None) -> str | None:
    word = text(value or b"")
    return word if _WORD.fullmatch(word) else None


def _event_id(stream: str, entry: str, verification: str) -> str:
    """The same for whoever reads the entry, and however often."""
    return "evt_" + hashlib.sha256(f"{stream} {entry} {verification}".encode()).hexdigest()[:32]


def packed(event: Event) -> bytes:
    mask = base64.b64encode(event.mask).decode()
    row = [event.type, event.at, event.client, event.data, event.verification_id, event.kid, mask]
    return json.dumps(row, separators=(",", ":")).encode()


def unpacked(id: str, row: bytes) -> Event | None:
    """None for what another version packed in another way."""
    try:
        type, at, client, data, verification_id, kid, mask = json.loads(row)
        return Event(id, type, at, client, data, verification_id, kid, base64.b64decode(mask))
    except (ValueError, TypeError):
        return None
