"""Macs by the vectors of RFC 4231, and beside the standard library's."""

from __future__ import annotations

import hmac
import threading

import pytest

from otp_service.macs import mac

# RFC 4231 §4.2, §4.3, §4.7 (a key longer than a block).
VECTORS = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
]


@pytest.mark.parametrize(("key", "message", "digest"), VECTORS)
def test_a_mac_is_that_of_the_rfc(key: bytes, message: bytes, digest: str) -> None:
    of = mac(key)
    assert of(message).hex() == of(message).hex() == digest


def test_threads_share_one() -> None:
    of, wrong = mac(b"k" * 32), []

    def use(n: int) -> None:
        for m in range(500):
            message = b"%d %d" % (n, m)
            if of(message) != hmac.digest(b"k" * 32, message, "sha256"):
                wrong.append(message)

    threads = [threading.Thread(target=use, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
