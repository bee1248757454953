"""base64url without padding is the standard library's, less the padding."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_service import base64url


@given(st.binary(max_size=70))
def test_it_is_what_the_standard_library_writes(raw: bytes) -> None:
    text = base64url.encode(raw)
    assert text == base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert base64url.decode(text) == raw


@pytest.mark.parametrize("text", ["a", "ab cd", "abc!", "ab=c", "é"])
def test_what_it_never_writes_it_does_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        base64url.decode(text)
