"""From a `Heard` to one line of JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from otp_service.masking import fit_to_keep
from otp_service.ports import Heard, Wish

FIELD = b"row"


def encoded(heard: Heard) -> str:
    return json.dumps(
        {
            "channel": heard.channel,
            "name": heard.name,
            "recipient": heard.recipient,
            "delivered": heard.delivered,
            "words": fit_to_keep(heard.words),
            "wish": heard.wish,
            "partition": heard.partition,
            "owners": heard.owners,
            "tries": heard.tries,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def heard_in(fields: Mapping[Any, Any]) -> Heard | None:
    """None for an entry that another version wrote, or nobody of ours."""
    return heard_of(fields.get(FIELD, b""))


def heard_of(line: bytes | str) -> Heard | None:
    """As `heard_in`, of the line itself."""
    try:
        row = json.loads(line)
        return Heard(
            channel=row["channel"],
            name=row["name"],
            recipient=row["recipient"],
            delivered=row["delivered"],
            words=row["words"],
            wish=Wish(row["wish"]) if row["wish"] else None,
            partition=row["partition"],
            owners=tuple(row["owners"]),
            tries=row["tries"],
        )
    except (KeyError, ValueError, TypeError):
        return None
