"""`Composer`: the code, derived anew, in the words of one channel. The only place where code and number meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
        text = voice.catalogue.text(begun.purpose, begun.locale, policy.locale).render(
            code,
            minutes_left((begun.expires - max(entry.at, begun.now - _AT_ONCE_MS)) // 1000),
            voice.variables,
            voice.signature,
            policy.webotp_host,
            policy.android_hash,
        )
        return Message(to=self._keyring.unseal(begun.kid, entry.id, "to", begun.to), text=text)
