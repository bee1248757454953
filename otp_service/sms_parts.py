"""How many SMS a text is billed as."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# 3GPP TS 23.038 §6.2.1: the default alphabet, and the extension table whose characters take an escape as well.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")

# 3GPP TS 23.040 §9.2.3.24: 140 octets, less the 6 of the concatenation header in every part of several.
_GSM_7_SINGLE, _GSM_7_MULTI = 160, 153
_UCS_2_SINGLE, _UCS_2_MULTI = 70, 67


@dataclass(frozen=True, slots=True)
class Parts:
    """How a text is billed."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    """Septets (an extension character takes two) or UTF-16 code units; headers and padding not counted."""
    parts: int


def count_parts(text: str) -> Parts:
    """The parts of `text`, where no escape pair and no surrogate pair is split between two of them."""
    if all(char in _BASIC or char in _EXTENSION for char in text):
        sizes = [2 if char in _EXTENSION else 1 for char in text]
        return Parts("GSM-7", sum(sizes), _fill(sizes, _GSM_7_SINGLE, _GSM_7_MULTI))
    sizes = [2 if ord(char) > 0xFFFF else 1 for char in text]
    return Parts("UCS-2", sum(sizes), _fill(sizes, _UCS_2_SINGLE, _UCS_2_MULTI))


def _fill(sizes: Iterable[int], single: int, multi: int) -> int:
    parts, used, total = 1, 0, 0
    for size in sizes:
        total += size
        if used + size > multi:
            parts, used = parts + 1, 0
        used += size
    return 1 if total <= single else parts
