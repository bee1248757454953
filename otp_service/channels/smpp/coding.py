"""A text as one or several short messages, in the alphabet that it needs; and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from otp_service.channels.smpp.pdu import ESM_CLASS_UDH
from otp_service.sms_parts import count_parts

# 3GPP TS 23.038 §6.2.1: the default alphabet in the order of its codes, and its extension table.
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
    "\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65,
}  # fmt: skip
_ESCAPE = 0x1B
_CODES = {char: bytes([code]) for code, char in enumerate(_BASIC) if code != _ESCAPE} | {
    char: bytes([_ESCAPE, code]) for char, code in _EXTENSION.items()
}
_EXTENDED = {code: char for char, code in _EXTENSION.items()}

# SMPP 3.4 §5.2.19. An SMSC takes GSM-7 as one octet a septet, and packs it on the air.
GSM_7, LATIN_1, UCS_2 = 0x00, 0x03, 0x08
_DATA_CODINGS = {"GSM-7": GSM_7, "UCS-2": UCS_2}
# 3GPP TS 23.040 §9.2.3.24.1: 140 octets on the air, less the 6 of this header in every part of several.
_MULTI = {GSM_7: 153, UCS_2: 134}


@dataclass(frozen=True, slots=True)
class Part:
    """What one submit_sm carries."""

    data_coding: int
    esm_class: int
    text: bytes


def parts_of(text: str, reference: int, *, split: bool) -> list[Part]:
    """In order; several only with `split`, each with a header that names `reference` (0 to 255) and its place."""
    counted = count_parts(text)
    coding = _DATA_CODINGS[counted.encoding]
    pieces = [_CODES[char] if coding == GSM_7 else char.encode("utf-16-be") for char in text]
    if counted.parts == 1 or not split:
        return [Part(coding, 0, b"".join(pieces))]
    chunks = list(_chunks(pieces, _MULTI[coding]))
    return [
        Part(coding, ESM_CLASS_UDH, bytes([5, 0, 3, reference, len(chunks), place]) + chunk)
        for place, chunk in enumerate(chunks, 1)
    ]


def _chunks(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """No piece is split: neither an escape pair nor a surrogate pair."""
    chunk = b""
    for piece in pieces:
        if len(chunk) + len(piece) > size:
            yield chunk
            chunk = b""
        chunk += piece
    yield chunk


def read_text(text: bytes, data_coding: int, esm_class: int) -> str:
    """What a handset wrote, without the header that a part of several has; what can't be read becomes U+FFFD."""
    if esm_class & ESM_CLASS_UDH and text:
        text = text[1 + text[0] :]
    if data_coding == UCS_2:
        return text.decode("utf-16-be", "replace")
    if data_coding == GSM_7:
        return "".join(_gsm_7(text))
    return text.decode("latin-1")


def _gsm_7(octets: bytes) -> Iterator[str]:
    escaped = False
    for octet in octets:
        if octet == _ESCAPE and not escaped:
            escaped = True
            continue
        yield _EXTENDED.get(octet, "\ufffd") if escaped else _BASIC[octet] if octet < len(_BASIC) else "\ufffd"
        escaped = False
