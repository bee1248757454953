"""The units of the protocol as bytes. Numbers of sections are those of the SMPP 3.4 specification, issue 1.2."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from typing import NamedTuple

_HEADER = struct.Struct("!IIII")
_TLV = struct.Struct("!HH")
MAX_LENGTH = 68 * 1024
"""Bytes: a message_payload of 64 KiB and what surrounds it. A longer one means that we have lost the thread."""

# 5.1.2.1: an answer's command is its request's with the highest bit set.
RESPONSE = 0x80000000
GENERIC_NACK = 0x80000000
SUBMIT_SM, DELIVER_SM, UNBIND, BIND_TRANSCEIVER, ENQUIRE_LINK = 0x04, 0x05, 0x06, 0x09, 0x15
ALERT_NOTIFICATION = 0x102

ESM_CLASS_UDH = 0x40
_ESM_CLASS_TYPE = 0x3C
_RECEIPTS = (0x04, 0x20)
"""5.2.12: a delivery receipt, an intermediate notification."""

# 5.3.2
TAG_RECEIPTED_MESSAGE_ID, TAG_MESSAGE_PAYLOAD, TAG_MESSAGE_STATE = 0x001E, 0x0424, 0x0427


class BadPdu(Exception):
    """What came is no PDU. The text holds nothing of it."""


class Pdu(NamedTuple):
    command: int
    sequence: int
    status: int = 0
    body: bytes = b""

    def encode(self) -> bytes:
        return _HEADER.pack(_HEADER.size + len(self.body), self.command, self.status, self.sequence) + self.body


class Address(NamedTuple):
    """5.2.5 to 5.2.9: type of number, numbering plan, and the number or name."""

    ton: int
    npi: int
    address: str

    def encode(self) -> bytes:
        return bytes([self.ton, self.npi]) + c_string(self.address)


class Delivered(NamedTuple):
    """A deliver_sm: a receipt, or what a handset wrote."""

    source: Address
    destination: Address
    esm_class: int
    data_coding: int
    text: bytes
    tags: dict[int, bytes]

    @property
    def is_receipt(self) -> bool:
        return self.esm_class & _ESM_CLASS_TYPE in _RECEIPTS


async def read_pdu(reader: asyncio.StreamReader) -> Pdu:
    """Raises `BadPdu`, asyncio.IncompleteReadError and OSError."""
    length, command, status, sequence = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    if not _HEADER.size <= length <= MAX_LENGTH:
        raise BadPdu("a PDU of an impossible length")
    return Pdu(command, sequence, status, await reader.readexactly(length - _HEADER.size))


def c_string(text: str) -> bytes:
    """Raises UnicodeEncodeError and ValueError for what a C-octet string can't hold."""
    if "\0" in text:
        raise ValueError("a NUL within a string")
    return text.encode("ascii") + b"\0"


def bind(system_id: str, password: str, system_type: str) -> bytes:
    """4.1.5, with interface version 3.4 and no address range."""
    return c_string(system_id) + c_string(password) + c_string(system_type) + b"\x34\0\0\0"


def submit(
    source: Address,
    destination: Address,
    text: bytes,
    *,
    data_coding: int,
    esm_class: int,
    receipt: bool,
    payload: bool,
) -> bytes:
    """4.4.1; with `payload` the text goes into message_payload, which holds 64 KiB where short_message holds 254."""
    head = b"\0" + source.encode() + destination.encode()
    head += bytes([esm_class, 0, 0]) + b"\0\0" + bytes([int(receipt), 0, data_coding, 0])
    if payload:
        return head + b"\0" + _TLV.pack(TAG_MESSAGE_PAYLOAD, len(text)) + text
    return head + bytes([len(text)]) + text


def message_id(body: bytes) -> str:
    """4.4.2: of a submit_sm_resp; empty where it has none."""
    return body.partition(b"\0")[0].decode("latin-1")


def read_deliver(body: bytes) -> Delivered:
    """4.6.1. Raises `BadPdu`."""
    fields = _Fields(body)
    fields.string()  # service type
    source, destination = fields.address(), fields.address()
    esm_class, _protocol, _priority = fields.byte(), fields.byte(), fields.byte()
    fields.string(), fields.string()  # schedule, validity
    _registered, _replace, data_coding, _default = (fields.byte() for _ in range(4))
    text = fields.take(fields.byte())
    tags = dict(fields.tags())
    return Delivered(source, destination, esm_class, data_coding, tags.get(TAG_MESSAGE_PAYLOAD, text), tags)


class _Fields:
    """Reads a body from its start; a body that ends too early is no PDU."""

    def __init__(self, body: bytes) -> None:
        self._left = body

    def take(self, size: int) -> bytes:
        if size > len(self._left):
            raise BadPdu("a body that ends too early")
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    def byte(self) -> int:
        return self.take(1)[0]

    def string(self) -> str:
        text, end, self._left = self._left.partition(b"\0")
        if not end:
            raise BadPdu("a string that does not end")
        return text.decode("latin-1")

    def address(self) -> Address:
        return Address(self.byte(), self.byte(), self.string())

    def tags(self) -> Iterator[tuple[int, bytes]]:
        while self._left:
            tag, length = _TLV.unpack(self.take(_TLV.size))
            yield tag, self.take(length)
