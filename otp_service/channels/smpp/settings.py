"""What an operator writes for one such channel."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from otp_service.channels.smpp.pdu import Address

_TON_UNKNOWN, _TON_INTERNATIONAL, _TON_ALPHANUMERIC = 0, 1, 5
_NPI_UNKNOWN, _NPI_ISDN = 0, 1


@dataclass(frozen=True, slots=True)
class SmppSettings:
    name: str
    host: str
    port: int
    tls: bool
    system_id: str
    password: str = field(repr=False)
    system_type: str
    sender: str
    source_ton: int | str
    """An empty one is guessed from the sender."""
    source_npi: int | str
    long_texts: str
    """`udh`: several short messages; `payload`: one message_payload."""
    receipts: bool
    decimal_receipts: bool
    window: int
    enquire_link: float
    """Seconds: a silent SMSC is asked whether it is there, and given up after as long again."""
    statuses: Mapping[str, str]
    answer_within: float
    deadline: float
    """Seconds, total, for one try."""

    def source(self, extno: str) -> Address:
        """The sender, or what this client sends from."""
        sender = extno or self.sender
        if sender.startswith("+"):
            guess = (_TON_INTERNATIONAL, _NPI_ISDN)
        elif re.fullmatch(r"[0-9]+", sender):
            guess = (_TON_UNKNOWN, _NPI_ISDN)
        else:
            guess = (_TON_ALPHANUMERIC if sender else _TON_UNKNOWN, _NPI_UNKNOWN)
        ton, npi = (
            given if isinstance(given, int) else guessed
            for given, guessed in zip((self.source_ton, self.source_npi), guess, strict=True)
        )
        return Address(ton, npi, sender.removeprefix("+"))


def destination(e164: str) -> Address:
    return Address(_TON_INTERNATIONAL, _NPI_ISDN, e164.removeprefix("+"))
