"""`Composer`: the code, derived anew, in the words of one channel. The only place where code and number meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from otp_service import recipient
from otp_service.keyring import Keyring
from otp_service.messages import Catalogue, minutes_left
from otp_service.policy import Policy
from otp_service.ports import Begun, Entry, Message
from otp_service.texts import Signature

_AT_ONCE_MS = 5000
"""A fail-over takes seconds: they don't turn five minutes into four."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How one channel speaks."""

    catalogue: Catalogue
    signature: Signature | None
    variables: Mapping[str, str] = field(default_factory=dict)
    extnos: Mapping[str, str] = field(default_factory=dict)
    """Port numbers (or senders) by `client/purpose`, `client` or `*/purpose`."""

    def extno(self, client: str, purpose: str) -> str:
        """The most exact one; "" for the channel's own."""
        keys = (f"{client}/{purpose}", client, f"*/{purpose}")
        return next((self.extnos[key] for key in keys if key in self.extnos), "")


class Composer:
    def __init__(self, keyring: Keyring, policies: Mapping[str, Policy], voices: Mapping[str, Voice]) -> None:
        self._keyring = keyring
        self._policies = policies
        self._voices = voices

    def compose(self, entry: Entry, begun: Begun) -> Message:
        """The minutes are those left when the send was asked for, unless it waited: then those left now.

        Raises SealBroken when the record's secret key is no longer configured, KeyError when its purpose is not."""
        policy = self._policies[begun.purpose]
        voice = self._voices[begun.channel]
        code = self._keyring.code(begun.kid, entry.id, begun.seed, begun.counter, begun.code_length)
        minutes = minutes_left((begun.expires - max(entry.at, begun.now - _AT_ONCE_MS)) // 1000)
        text = voice.catalogue.text(begun.purpose, begun.locale, policy.locale).render(
            code, minutes, voice.variables, voice.signature, policy.webotp_host, policy.android_hash
        )
        return Message(
            to=self.number(entry, begun.kid, begun.to),
            text=text,
            code=code,
            minutes=minutes,
            purpose=begun.purpose,
            locale=begun.locale,
            extno=voice.extno(begun.client, begun.purpose),
            reference=f"{entry.id}.{begun.index}",
        )

    def number(self, entry: Entry, kid: str, sealed: bytes) -> str:
        """E.164. Raises SealBroken."""
        return self._keyring.unseal(kid, entry.id, "to", sealed)

    def place(self, entry: Entry, kid: str, sealed: bytes) -> tuple[str, str]:
        """Number and region of a send. Raises SealBroken."""
        number = self.number(entry, kid, sealed)
        return number, recipient.parse(number, "").region

    def report_name(self, channel: str, gateway_id: str) -> str:
        """Under which a try is found again when its gateway reports."""
        return self._keyring.report(channel, gateway_id)
