"""Words by which people say that they want nothing more, or again: those of carriers in China and of the CTIA."""

from __future__ import annotations

import unicodedata

from otp_service.ports import Wish

_STOP = frozenset(
    {"退订", "退订回t", "退", "t", "td", "n", "取消", "取消订阅", "退訂", "stop", "stopall", "unsubscribe", "quit"}
    | {"cancel", "end", "解除订阅"}
)
"""T, TD and N: what senders in China must offer (退订回T, 拒收请回复R is others' wording). STOP to END: CTIA."""
_START = frozenset({"start", "unstop", "yes", "恢复", "恢复订阅", "恢復", "订阅", "訂閱"})
_LONGEST = 32
"""Characters that are looked at: none of the words is longer, however it is written."""


def wish(text: str) -> Wish | None:
    """None for everything else: a person who writes a sentence is asked by a person."""
    if len(text) > _LONGEST:
        return None
    word = "".join(
        char for char in unicodedata.normalize("NFKC", text).casefold() if unicodedata.category(char)[0] in "LN"
    )
    if word in _STOP:
        return Wish.STOP
    return Wish.START if word in _START else None
