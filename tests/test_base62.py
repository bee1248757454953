"""Base 62 writes every number of its size in one way, and reads nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service.base62 import Base62

BODY = Base62(25)


@given(st.binary(min_size=25, max_size=25))
def test_what_is_written_is_read(raw: bytes) -> None:
    text = BODY.encode(raw)
    assert (len(text), BODY.decode(text)) == (34, raw)


@given(st.text(alphabet="0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", min_size=34, max_size=34))
def test_what_is_read_was_written_so(text: str) -> None:
    raw = BODY.decode(text)
    assert raw is None or BODY.encode(raw) == text


@pytest.mark.parametrize(
    ("size", "raw", "text"),
    [
        (1, b"\x00", "00"),
        (1, b"\x3d", "0z"),
        (1, b"\x3e", "10"),
        (1, b"\xff", "47"),
        (2, b"\xff\xff", "0H31"),
        (25, bytes(25), "0" * 34),
    ],
)
def test_digits_come_before_capitals_and_these_before_small_letters(size: int, raw: bytes, text: str) -> None:
    assert (Base62(size).encode(raw), Base62(size).decode(text)) == (text, raw)


@pytest.mark.parametrize("text", ["48", "zz"])
def test_a_number_that_has_more_bytes_is_none(text: str) -> None:
    assert Base62(1).decode(text) is None
