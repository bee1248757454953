"""Which channels may carry a send: by purpose, client, region and the number's beginning, as configured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otp_service.policy import Window
    from otp_service.recipient import Recipient

EVERYWHERE = "*"


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """What one channel carries, and when its turn comes. None means no bound."""

    name: str
    purposes: frozenset[str] | None = None
    clients: frozenset[str] | None = None
    regions: frozenset[str] | None = None
    prefixes: tuple[str, ...] = ()
    """Beginnings of E.164 numbers; none means every number."""
    home: frozenset[str] | None = None
    """Regions that gateways of this kind reach at all."""
    priority: int = 0
    """The lowest goes first."""
    weight: int = 1
    """Its share among channels of one priority."""
    recipient_windows: tuple[Window, ...] = ()
    """Sends to one number by this channel."""
    strict: bool = False
    """True when the operator wrote the windows: a full channel is not asked. Else they are our guess of the gateway's
    own rules, and a full channel is asked after the others."""

    def takes(self, client: str, purpose: str, to: Recipient) -> bool:
        return (
            (self.purposes is None or purpose in self.purposes)
            and (self.clients is None or client in self.clients)
            and (self.regions is None or to.region in self.regions or EVERYWHERE in self.regions)
            and (not self.prefixes or to.e164.startswith(self.prefixes))
        )


def eligible(rules: Sequence[ChannelRule], client: str, purpose: str, to: Recipient) -> tuple[ChannelRule, ...]:
    """The channels that may carry this, by priority; none where the configuration leaves such a send no channel.

    A gateway that can't reach the region is left out as long as there is one that can: its refusal of the number would
    end the delivery.
    """
    taking = sorted((rule for rule in rules if rule.takes(client, purpose, to)), key=lambda rule: rule.priority)
    reaching = [rule for rule in taking if rule.home is None or to.region in rule.home]
    return tuple(reaching or taking)
