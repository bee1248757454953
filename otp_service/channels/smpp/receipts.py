"""What a deliver_sm tells: a report on a message of ours, or a reply."""

from __future__ import annotations

import re

from otp_service.channels.smpp.coding import read_text
from otp_service.channels.smpp.pdu import TAG_MESSAGE_STATE, TAG_RECEIPTED_MESSAGE_ID, Address, Delivered
from otp_service.channels.words import gateway_words
from otp_service.ports import Reply, Report

# SMPP 3.4 §5.2.28: message_state, and the words of Appendix B's text for the same.
_STATES = {
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
}
_DELIVERED: dict[str, bool | None] = {
    "DELIVRD": True,
    "EXPIRED": False,
    "DELETED": False,
    "UNDELIV": False,
    "REJECTD": False,
    "ENROUTE": None,
    "ACCEPTD": None,
    "UNKNOWN": None,
}
# Appendix B. What follows `text:` is the beginning of our own message, and is not kept.
_ID = re.compile(r"\bid:([!-~]{1,65})", re.IGNORECASE)
_STAT = re.compile(r"\bstat:([A-Za-z]{1,10})", re.IGNORECASE)
_ERR = re.compile(r"\berr:([0-9A-Za-z]{1,5})", re.IGNORECASE)


def read_receipt(delivered: Delivered, *, decimal_ids: bool) -> Report | None:
    """None where it names no message, or no state that we know. The optional parameters go before the text."""
    text = delivered.text.decode("latin-1")[:255].partition("text:")[0]
    tags = delivered.tags
    state = tags.get(TAG_MESSAGE_STATE, b"")
    word = _STATES.get(state[0], "") if state else _found(_STAT, text).upper()
    id = tags.get(TAG_RECEIPTED_MESSAGE_ID, b"").partition(b"\0")[0].decode("latin-1") or _found(_ID, text)
    if not id or word not in _DELIVERED:
        return None
    error = _found(_ERR, text)
    words = gateway_words(f"{word} err {error}" if error.strip("0") else word)
    return Report(plain_id(id, decimal=decimal_ids), handset(delivered.source), _DELIVERED[word], words)


def read_reply(delivered: Delivered) -> Reply | None:
    """None where it names no number."""
    number = handset(delivered.source)
    text = read_text(delivered.text, delivered.data_coding, delivered.esm_class)
    return Reply(number, text, extno=delivered.destination.address) if number else None


def plain_id(id: str, *, decimal: bool) -> str:
    """One spelling for an id that the answer gives in hex and the receipt in decimal, as many SMSC do."""
    if decimal and id.isascii() and id.isdigit():
        return f"{int(id):x}"
    return id


def handset(address: Address) -> str:
    """E.164, or empty: a name, or a number whose country is not told."""
    digits = address.address.removeprefix("+")
    international = address.ton == 1 or address.address.startswith("+")
    return f"+{digits}" if international and re.fullmatch(r"[1-9][0-9]{6,14}", digits) else ""


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""
