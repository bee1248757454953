"""What `doctor` finds: each line is fine, doubtful or wrong, and says what to mend."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from otp_service import wiring
from otp_service.config import Config
from otp_service.config.challenge import ChallengeSection
from otp_service.config.channel import ChannelSection
from otp_service.errors import ConfigError, InvalidRecipient
from otp_service.messages import minutes_left
from otp_service.policy import EVERYBODY
from otp_service.ports import (
    Balance,
    CaptchaDown,
    CaptchaRefused,
    ChannelError,
    Message,
    NoBalance,
    Outcome,
    StoreDown,
    TryResult,
)
from otp_service.recipient import parse as parse_recipient
from otp_service.store.facts import NO_EVICTION, NO_FENCE, ServerFacts, Unreachable

_MADE_UP = '{"lot_number":"doctor","captcha_output":"doctor","pass_token":"doctor","gen_time":"1"}'
"""A CAPTCHA token in GeeTest's form; to the others it is as good as any."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    about: str
    text: str
    came_to: str = ""
    """Of a real send, in words for the audit trail: they hold no number, and nothing of the gateway's own."""


def of_config(config: Config) -> Iterator[Finding]:
    kids = [kid for kid, _ in config.secret_key_pairs()]
    yield Finding(Level.OK, "secrets", f"{kids[0]} signs, {len(kids)} verify")
    if "*" in (config.routing.regions or ()):
        yield Finding(
            Level.WARN, "routing", 'regions = ["*"] sends everywhere, at any price; name the regions you serve'
        )
    if not config.clients:
        yield Finding(
            Level.WARN, "clients", "none is configured, so nobody can call; make one with `otp-service keys new`"
        )
    for name, lists in config.number_lists[0].items():
        where = "recipients" if name == EVERYBODY else f"recipients of {name}"
        text = f"{len(lists.block)} entries block and {len(lists.allow)} allow numbers and beginnings"
        yield Finding(Level.OK, where, text)
    if config.test_numbers:
        text = f"{len(config.test_numbers)} numbers have fixed codes; allow them where nothing real is guarded"
        yield Finding(Level.WARN, "test numbers", text)


def of_keys(config: Config) -> Iterator[Finding]:
    """Of each client; asks Redis which keys are revoked, where it answers."""
    try:
        with wiring.revocations(config) as revocations:
            revoked = {one.id for one in revocations.look()}
    except StoreDown:
        revoked = set()
    for client in config.clients:
        ids = [key_hash.partition(":")[0] for key_hash in client.key_hashes]
        active = [id for id in ids if id not in revoked]
        if active:
            yield Finding(Level.OK, f"client {client.name}", f"{len(active)} active keys")
        else:
            lacks = "all of its keys are revoked, so it" if ids else "it has no key and"
            mend = f"{lacks} can't call; make one with `otp-service keys new {client.name}`"
            yield Finding(Level.WARN, f"client {client.name}", mend)


def of_redis(config: Config) -> Iterator[Finding]:
    try:
        facts = wiring.ask_server(config)
    except Unreachable as error:
        yield Finding(Level.FAIL, "redis", wiring.all_lost(config, error).text)
        return
    yield _version(facts)
    gaps = list(facts.gaps())
    for gap in gaps:
        yield Finding(Level.FAIL, "redis cluster", gap.text)
    if facts.masters > 1 and not gaps:
        yield Finding(Level.OK, "redis cluster", f"{facts.masters} masters serve all slots")
    if facts.role == "master":
        yield Finding(Level.OK, "redis role", "master")
    elif facts.role:
        yield Finding(
            Level.FAIL, "redis role", f"it is a {facts.role} and takes no writes; point redis.url at the master"
        )
    else:
        yield _untold("redis role", "that it is a master")
    yield _eviction(facts, config.redis.allow_eviction)
    if config.redis.durability == "wait":
        yield _replicas(facts)
    if config.redis.fence:
        is_fenced = facts.info_in_scripts
        yield Finding(Level.OK if is_fenced else Level.FAIL, "redis fence", "on" if is_fenced else NO_FENCE)
    if facts.aof:
        yield Finding(Level.OK, "redis AOF", "on")
    elif facts.aof is None:
        yield _untold("redis AOF", "that appendonly is yes")
    else:
        mend = "off: a restart loses every verification, send and limit; set appendonly yes"
        yield Finding(Level.FAIL, "redis AOF", mend)


def of_channel(channel: ChannelSection) -> Iterator[Finding]:
    about = f"channel {channel.name}"
    address = urlsplit(str(getattr(channel, "url", "")))
    if address.scheme == "http" and address.hostname not in _LOOPBACK:
        text = "http:// carries codes, numbers and the account in clear; use https:// if the gateway has it"
        yield Finding(Level.WARN, about, text)
    try:
        balance = asyncio.run(_balance(channel))
    except ConfigError as error:
        yield Finding(Level.FAIL, about, str(error))
    except ChannelError as error:
        # Some gateways have no such question.
        level = Level.WARN if isinstance(error, NoBalance) else Level.FAIL
        yield Finding(level, about, f"{error}; check its address and credentials")
    else:
        yield Finding(Level.OK, about, f"login works, balance {balance.remaining} {balance.detail}".rstrip())


def of_challenge(section: ChallengeSection) -> Iterator[Finding]:
    """A service that is well refuses a token that nobody solved."""
    about, asked = f"challenge {section.verifier}", wiring.build_challenger(section)
    try:
        asked.verify(_MADE_UP, None)
    except CaptchaRefused:
        yield Finding(Level.OK, about, "it answers, and refuses a token that is none")
    except CaptchaDown as down:
        yield Finding(Level.FAIL, about, f"{down}; check its url, site_key and secret")
    else:
        level = Level.WARN if section.lets_everybody_pass else Level.FAIL
        yield Finding(level, about, "it took a token that is none, so it lets everybody pass; check its secret or url")
    finally:
        asked.close()


def of_real_send(config: Config, channel: ChannelSection, number: str) -> Iterator[Finding]:
    about = f"send by {channel.name}"
    try:
        to = parse_recipient(number, config.service.default_region)
    except InvalidRecipient as error:
        yield Finding(Level.FAIL, about, error.detail, "not sent, as that is no number")
        return
    result = asyncio.run(_deliver(channel, _sample(config, channel, to.e164)))
    said = f"{result.outcome} by the gateway: {result.detail}".rstrip(": ")
    if result.outcome is Outcome.ACCEPTED:
        yield Finding(Level.OK, about, f"{said}; look whether it arrives at {to.mask}", str(result.outcome))
    else:
        why = f" ({result.reason})" if result.reason else ""
        yield Finding(Level.FAIL, about, f"{said}{why}", f"{result.outcome}{why}")


def _version(facts: ServerFacts) -> Finding:
    shown = f"{'Valkey' if facts.is_valkey else 'Redis'} {facts.version or ''}".rstrip()
    if facts.is_recent is None:
        return _untold("redis version", "that it is Redis 6.2 or later, or Valkey")
    if not facts.is_recent:
        return Finding(Level.FAIL, "redis version", f"{shown} is too old; Redis 6.2 or later, or Valkey, is needed")
    return Finding(Level.OK, "redis version", shown)


def _eviction(facts: ServerFacts, allowed: bool) -> Finding:
    about, policy = "redis eviction", facts.eviction_policy
    if policy is None:
        return _untold(about, f"that maxmemory-policy is {NO_EVICTION}")
    if not facts.evicts:
        return Finding(Level.OK, about, policy)
    text = f"maxmemory-policy is {policy}, which resets limits and loses sends; set it to {NO_EVICTION}"
    return Finding(Level.WARN if allowed else Level.FAIL, about, text)


def _replicas(facts: ServerFacts) -> Finding:
    about = "redis replicas"
    if facts.replicas is None:
        return _untold(about, "that a replica is connected")
    if not facts.replicas:
        lacks = [lack.text for lack in facts.lacks("wait") if "replica" in lack.what]
        return Finding(Level.FAIL, about, "; ".join(lacks))
    of_each = " to each master" if facts.masters > 1 else ""
    return Finding(Level.OK, about, f"{facts.replicas} connected{of_each}; each answer waits for one of them")


def _untold(about: str, what: str) -> Finding:
    return Finding(Level.WARN, about, f"the server does not tell; make sure {what}")


def _sample(config: Config, channel: ChannelSection, to: str) -> Message:
    """The message of a login, or of what else the channel carries, with digits that no verification has."""
    purpose = "login" if not channel.purposes or "login" in channel.purposes else channel.purposes[0]
    rules = config.purposes[purpose]
    voice = wiring.build_voices(config)[channel.name]
    text = voice.catalogue.text(purpose, None, rules.locale)
    code, minutes = "0123456789"[: rules.code_length], minutes_left(rules.ttl)
    return Message(
        to,
        text.render(code, minutes, voice.variables, voice.signature, rules.webotp_host, rules.android_hash),
        code=code,
        minutes=minutes,
        purpose=purpose,
        locale=rules.locale,
    )


async def _balance(channel: ChannelSection) -> Balance:
    built = wiring.build_channel(channel)
    try:
        return await built.balance()
    finally:
        await built.aclose()


async def _deliver(channel: ChannelSection, message: Message) -> TryResult:
    built = wiring.build_channel(channel)
    try:
        return await built.deliver(message)
    finally:
        await built.aclose()
