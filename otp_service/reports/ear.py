"""`Ear`: from what a gateway says to rows that may be kept. The only place where its ids and numbers are hashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from otp_service import recipient
from otp_service.errors import InvalidRecipient
from otp_service.keyring import Keyring
from otp_service.ports import Heard, Reply, Report
from otp_service.reports.wishes import wish


@dataclass(frozen=True, slots=True)
class Ear:
    """`clients`: who may send by the channel; `extnos`: its port numbers by `client`, `client/purpose`, `*/purpose`."""

    channel: str
    keyring: Keyring
    clients: Sequence[str] = ()
    extnos: Mapping[str, str] = field(default_factory=dict)

    def reports(self, said: Sequence[Report]) -> list[Heard]:
        """Those that tell of an end; what is still on its way is no news."""
        return [
            Heard(
                self.channel,
                self.keyring.report(self.channel, one.gateway_id),
                self.keyring.recipient(one.to) if one.to else "",
                one.delivered,
                one.words,
            )
            for one in said
            if one.delivered is not None and one.gateway_id
        ]

    def replies(self, said: Sequence[Reply]) -> list[Heard]:
        """Those that are a known word; the others' texts are none of our business."""
        return [heard for one in said if (heard := self._reply(one))]

    def _reply(self, one: Reply) -> Heard | None:
        wanted = wish(one.text)
        if wanted is None:
            return None
        try:
            number = recipient.parse(one.to, "")
        except InvalidRecipient:
            return None
        fingerprint = self.keyring.recipient(number.e164)
        return Heard(
            self.channel,
            self.keyring.report(self.channel, one.gateway_id) if one.gateway_id else "",
            fingerprint,
            wish=wanted,
            partition=self.keyring.partition(number.prefix),
            owners=tuple(self.keyring.owner(client, fingerprint) for client in self._answered(one.extno)),
        )

    def _answered(self, extno: str) -> Sequence[str]:
        """Whose port number it is: the longest that the reply's ends with; everybody, where none is."""
        ours = {key: port for key, port in self.extnos.items() if port and extno.endswith(port)}
        longest = max((len(port) for port in ours.values()), default=0)
        named = {key.partition("/")[0] for key, port in ours.items() if len(port) == longest}
        return sorted(named) if named and "*" not in named else self.clients
