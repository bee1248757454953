"""Base 62: a number in digits, capitals and small letters, for what has to be short and to survive a double click."""

from __future__ import annotations

from operator import mul

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(a + b for a in _DIGITS for b in _DIGITS)
"""Two digits a step: half as many divisions of a long number."""
_VALUES = bytes.maketrans(_DIGITS.encode(), bytes(range(62)))


class Base62:
    """Of numbers of so many bytes, always in as many digits."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.digits = next(n for n in range(0, 2 * size + 1, 2) if 62**n >= 256**size)
        """An even number."""
        self._powers = tuple(62**n for n in reversed(range(self.digits)))

    def encode(self, raw: bytes) -> str:
        number, pairs = int.from_bytes(raw, "big"), []
        for _ in range(self.digits // 2):
            number, pair = divmod(number, len(_PAIRS))
            pairs.append(_PAIRS[pair])
        pairs.reverse()
        return "".join(pairs)

    def decode(self, text: str) -> bytes | None:
        """Of `digits` digits and nothing else; None for a number that has more bytes."""
        number = sum(map(mul, text.encode().translate(_VALUES), self._powers))
        return number.to_bytes(self._size, "big") if number >> 8 * self._size == 0 else None
