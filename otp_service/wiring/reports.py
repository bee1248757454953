"""What hears gateways out: the pollers and the actor of a worker, the watch over accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_service import store
from otp_service.config import Config
from otp_service.config.channel import ChannelSection
from otp_service.delivery.crew import Member
from otp_service.keyring import Keyring
from otp_service.ports import Channel, EventLog, Outbox, OwnRows, Polled, Standings
from otp_service.reports import Actor, BalanceWatch, Ear, Poller, Rounds, Watched

if TYPE_CHECKING:
    import redis.asyncio

OFF, POLL = "off", "poll"


@dataclass(frozen=True, slots=True)
class Tools:
    """What the members of one worker share."""

    client: redis.asyncio.Redis
    trips: store.Trips
    outbox: Outbox
    standings: Standings
    keyring: Keyring
    events: EventLog
    holder: str
    """Names this worker among those that share a lease."""


def reporting(config: Config) -> frozenset[str]:
    """Names of the channels whose gateways report, one way or the other."""
    return frozenset(section.name for section in config.channels if section.report_way != OFF)


def build_listeners(config: Config, channels: Sequence[Channel], tools: Tools) -> Mapping[str, Member]:
    """By the names of their work. Polling needs a worker of the installation; acting is everybody's."""
    members: dict[str, Member] = {}
    log = store.RedisReportLog(tools.trips, config.redis.prefix)
    leases = store.RedisLeases(tools.trips, config.redis.prefix)
    accounts = store.RedisAccounts(tools.trips, config.redis.prefix)
    sections = {section.name: section for section in config.channels}
    for channel in channels:
        section = sections[channel.name]
        if section.report_way == POLL and isinstance(channel, Polled):
            poller = Poller(
                channel,
                ear(config, section, tools.keyring),
                log,
                tools.standings,
                leases,
                accounts,
                tools.holder,
                section.report_interval,
                alone=not isinstance(channel, OwnRows),
            )
            members[f"poll:{channel.name}"] = Rounds(f"poll:{channel.name}", poller.step, poller.leave)
    # Rows that an earlier configuration has heard, and pushed ones, wait for an actor too.
    actor = Actor(log, tools.outbox, tools.standings, tools.keyring)
    members["reports"] = Rounds("reports", actor.step)
    watched = [Watched(channel, sections[channel.name].balance_low) for channel in channels]
    watch = BalanceWatch(watched, accounts, leases, tools.events, tools.holder)
    members["balance"] = Rounds("balance", watch.step, watch.leave)
    return members


def ear(config: Config, section: ChannelSection, keyring: Keyring) -> Ear:
    """What takes ids and numbers out of a channel's reports."""
    clients = section.clients or tuple(client.name for client in config.clients)
    return Ear(section.name, keyring, clients, section.extnos)
