"""What hears gateways out: the pollers and the actor of a worker, the inbox of the API, the watch over accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_service import store
from otp_service.config import Config
from otp_service.config.channel import ChannelSection
from otp_service.delivery.crew import Member
from otp_service.keyring import Keyring
from otp_service.ports import Channel, EventLog, Outbox, OwnRows, Polled, Pushing, Report, Standings
from otp_service.reports import Actor, BalanceWatch, Ear, Poller, Rounds, Watched
from otp_service.web.pushes import PushDesk, ReadPush
from otp_service.wiring.channels import build_channel

if TYPE_CHECKING:
    import redis.asyncio

OFF, POLL, PUSH = "off", "poll", "push"


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
    sections = {section.name: section for section in config.channels}
    for channel in channels:
        section = sections[channel.name]
        if section.report_way == POLL and isinstance(channel, Polled):
            poller = Poller(
                channel,
                _ear(config, section, tools.keyring),
                log,
                tools.standings,
                leases,
                tools.holder,
                section.report_interval,
                alone=not isinstance(channel, OwnRows),
            )
            members[f"poll:{channel.name}"] = Rounds(f"poll:{channel.name}", poller.step, poller.leave)
    # Rows that an earlier configuration has heard, and pushed ones, wait for an actor too.
    actor = Actor(log, tools.outbox, tools.standings, tools.keyring)
    members["reports"] = Rounds("reports", actor.step)
    watched = [Watched(channel, sections[channel.name].balance_low) for channel in channels]
    accounts = store.RedisAccounts(tools.trips, config.redis.prefix)
    watch = BalanceWatch(watched, accounts, leases, tools.events, tools.holder)
    members["balance"] = Rounds("balance", watch.step, watch.leave)
    return members


def build_push_desk(config: Config, keyring: Keyring) -> PushDesk:
    """Where the API takes pushed reports. Raises ConfigError."""
    readers: dict[str, ReadPush] = {}
    ears: dict[str, Ear] = {}
    for section in config.channels:
        if section.report_way == PUSH:
            channel = build_channel(section)
            assert isinstance(channel, Pushing)
            readers[section.name] = channel.read_push
            ears[section.name] = _ear(config, section, keyring)
    if not readers:
        return PushDesk()
    inbox = store.ReportInbox(store.connect(config.redis.url.get_secret_value()), config.redis.prefix)

    def keep(channel: str, reports: Sequence[Report]) -> None:
        inbox.keep(ears[channel].reports(reports))

    # Whoever guesses at names is kept waiting as long as for a name that there is.
    return PushDesk(readers, keep, next(iter(readers.values())), config.service.public_url)


def _ear(config: Config, section: ChannelSection, keyring: Keyring) -> Ear:
    clients = section.clients or tuple(client.name for client in config.clients)
    return Ear(section.name, keyring, clients, section.extnos)
