"""How a try is kept: a list of its values alone, in JSON, for tries are kept longest of all. `lua/tries.lua` too."""

from __future__ import annotations

import json
from typing import Any

_NAMES = (
    "send",
    "channel",
    "at",
    "fence",
    "outcome",
    "reason",
    "detail",
    "gateway_id",
    "took_ms",
    "report",
    "report_words",
    "orphan",
    "not_asked",
)


def named(kept: bytes) -> dict[str, Any]:
    """Its values by name, without those that are empty."""
    return {name: value for name, value in zip(_NAMES, json.loads(kept), strict=False) if value != ""}
