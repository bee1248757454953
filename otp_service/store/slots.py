"""Which slot of a cluster a command is about."""

from __future__ import annotations

from redis.crc import key_slot

from otp_service.store.wire import Words

_KEYLESS = frozenset({"WAIT", "PING", "TIME"})


def slot_of(command: Words) -> int | None:
    """By its first key: all keys of a command of ours lie in one slot. None for one that has no key."""
    match command[0]:
        case "EVALSHA" | "EVAL":
            place = 3 if command[2] else 0
        case "XGROUP":
            place = 2
        case "XREADGROUP":
            place = command.index("STREAMS") + 1
        case name:
            place = 0 if name in _KEYLESS else 1
    if not place:
        return None
    key = command[place]
    return int(key_slot(key if isinstance(key, bytes) else str(key).encode()))
